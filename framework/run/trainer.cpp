#include <lathe/base/error.h>
#include <lathe/run/trainer.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace lathe {

Trainer::Trainer(Session& session)
    : session_(session),
      arena_(session.backend),
      learner_{.model = session.model.get(),
               .parameters = &session.parameters,
               .objective = session.objective.get(),
               .feed = session.feed.get(),
               .arena = &arena_,
               .tokenizer = session.tokenizer.get(),
               .seed = session.seed} {
  const Parameters& parameters = session.parameters;
  const int moments = session.optimizer->moments();
  if (moments >= 1) first = parameters.make_buffer();
  if (moments >= 2) second = parameters.make_buffer();
  if (session.train.ema > 0) {
    average = parameters.make_buffer();
    session.backend->copy(parameters.master().view(), average.view());
  }
  const AsynchronousSettings& asynchronous = session.asynchronous;
  if (asynchronous.workers == 0) return;
  std::vector<std::int32_t> recorded;
  if (asynchronous.order == "replay") recorded = session.recorded_order();
  workers = std::make_unique<Workers>(session, std::move(recorded));
}

double Trainer::progress() const {
  return static_cast<double>(state.step) /
         static_cast<double>(std::max<std::int64_t>(session_.train.steps, 1));
}

std::int64_t Trainer::actions_taken() {
  return workers ? workers->actions_taken() : session_.feed->actions_taken();
}

StepReport Trainer::step() {
  const TrainSettings& train = session_.train;
  Gathered gathered;
  Tensor gradient = session_.parameters.gradient();
  if (workers) {
    Workers::Arrival arrival = workers->next(state.step);
    gathered = std::move(arrival.gathered);
    gradient = arrival.gradient;
  } else {
    gathered = gather(learner_, state.step * train.accumulation, train.accumulation, progress());
  }
  StepReport report{.tokens = gathered.tokens,
                    .metrics = std::move(gathered.metrics),
                    .written = std::move(gathered.written)};
  const double weight = gathered.weight;
  const double factor = session_.schedule->factor(state.step, train.steps);
  report.rate = session_.optimizer->rate() * factor;
  if (weight <= 0 && !gathered.acted) {
    fail("step ", state.step, ": no place of the batch counts (all loss weights are 0)");
  }
  // What was lived through may hold nothing to learn from: then the weights stay.
  if (weight > 0) {
    const double squares = session_.backend->sum_of_squares(gradient.view());
    report.loss = gathered.loss / weight;
    report.gradient_norm = std::sqrt(squares) / weight;
    if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
      fail("step ", state.step, ": the loss is ", report.loss, " and the norm of the gradient ",
           report.gradient_norm, "; the step was not taken. Lower optimizer.rate, set train.clip, ",
           "or go on from the last checkpoint with other data");
    }
    double scale = 1 / weight;
    if (train.clip > 0 && report.gradient_norm > train.clip) {
      scale *= train.clip / report.gradient_norm;
    }
    update(gradient, scale, factor);
  }
  if (workers) workers->applied(state.step);
  if (gathered.acted) add_metrics(measured, report.metrics);
  ++state.step;
  state.tokens += report.tokens;
  return report;
}

void Trainer::update(const Tensor& gradient, double scale, double factor) {
  const Parameters& parameters = session_.parameters;
  const std::int64_t all = parameters.master().size(0);
  const std::int64_t decayed = parameters.decayed();
  const auto window = [](const Tensor& flat, std::int64_t begin, std::int64_t end) {
    return flat ? Tensor(flat.storage(), sliced(flat.view(), 0, begin, end)) : Tensor();
  };
  for (const bool decay : {true, false}) {
    const std::int64_t begin = decay ? 0 : decayed;
    const std::int64_t end = decay ? decayed : all;
    if (begin == end) continue;
    session_.optimizer->step(*session_.backend,
                             {.parameter = window(parameters.master(), begin, end),
                              .gradient = window(gradient, begin, end),
                              .first = window(first, begin, end),
                              .second = window(second, begin, end),
                              .shadow = window(parameters.shadow(), begin, end),
                              .gradient_scale = scale,
                              .rate_factor = factor,
                              .decay = decay,
                              .step = state.updates + 1});
  }
  ++state.updates;
  if (average) {
    session_.backend->interpolate(parameters.master().view(), 1 - session_.train.ema,
                                  average.view());
  }
}

Evaluation Trainer::evaluate() {
  if (!session_.validation) fail("there is nothing to evaluate on: the validation split is empty");
  const Averaged averaged(*this);
  const NoGradient silent;
  std::int64_t batches = session_.validation->batches();
  if (session_.evaluate.batches > 0) batches = std::min(batches, session_.evaluate.batches);
  std::vector<Metric> metrics;
  for (std::int64_t number = 0; number < batches; ++number) {
    Batch batch = session_.validation->batch(number);
    const Arena::Step memory(arena_, cat("evaluate ", batch.rows, " ", batch.length));
    const ObjectivePass options =
        pass_of(learner_, false, state.step * session_.train.accumulation, progress());
    if (!batch.prepared) session_.objective->prepare(batch, options);
    const Loss part = session_.objective->evaluate(batch, options);
    if (part.sum) add_metrics(metrics, {{"loss", part.sum.item(), part.weight}});
    add_metrics(metrics, batch.metrics);
    add_metrics(metrics, part.metrics);
  }
  Evaluation evaluation;
  for (const Metric& metric : metrics) {
    if (!std::isfinite(metric.sum)) {
      throw Diverged(cat("step ", state.step, ": the ", metric.name, " of the evaluation is ",
                         metric.sum, "; nothing was saved. Lower optimizer.rate, set train.clip, ",
                         "or go on from the last checkpoint with other data"));
    }
    if (metric.weight > 0) evaluation.values.emplace_back(metric.name, metric.sum / metric.weight);
  }
  return evaluation;
}

double Evaluation::value(const std::string& name) const {
  std::string known;
  for (const auto& [other, number] : values) {
    if (other == name) return number;
    known += (known.empty() ? "" : ", ") + other;
  }
  fail("the evaluation has no metric '", name, "' (evaluate.best). Valid: ", known);
}

bool Trainer::note(const Evaluation& evaluation) {
  const double value = evaluation.value(session_.evaluate.best);
  const bool better = session_.evaluate.goal == "min" ? value < state.best : value > state.best;
  if (state.best_step >= 0 && !better) {
    ++state.evaluations_since_best;
    return false;
  }
  state.best = value;
  state.best_step = state.step;
  state.evaluations_since_best = 0;
  return true;
}

bool Trainer::out_of_patience() const {
  const std::int64_t patience = session_.evaluate.patience;
  return patience > 0 && state.evaluations_since_best >= patience;
}

Trainer::Averaged::Averaged(Trainer& trainer) : trainer_(trainer) { exchange(); }
Trainer::Averaged::~Averaged() { exchange(); }

void Trainer::Averaged::exchange() {
  if (!trainer_.average) return;
  Parameters& parameters = trainer_.session_.parameters;
  Backend& backend = *trainer_.session_.backend;
  const Tensor kept = parameters.make_buffer();
  backend.copy(parameters.master().view(), kept.view());
  backend.copy(trainer_.average.view(), parameters.master().view());
  backend.copy(kept.view(), trainer_.average.view());
  parameters.refresh();
}

}  // namespace lathe
