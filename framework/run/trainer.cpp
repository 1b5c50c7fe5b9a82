#include <lathe/base/error.h>
#include <lathe/run/trainer.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace lathe {

Trainer::Trainer(Session& session) : session_(session), arena_(session.backend) {
  const Parameters& parameters = session.parameters;
  const int moments = session.optimizer->moments();
  if (moments >= 1) first = parameters.make_buffer();
  if (moments >= 2) second = parameters.make_buffer();
  if (session.train.ema > 0) {
    average = parameters.make_buffer();
    session.backend->copy(parameters.master().view(), average.view());
  }
}

ObjectivePass Trainer::pass(bool training, std::int64_t micro) const {
  const auto at = static_cast<std::uint64_t>(state.step * session_.train.accumulation + micro);
  return {.model = session_.model.get(),
          .parameters = &session_.parameters,
          .options = {.training = training, .dropout = RandomStream(session_.seed, "dropout", at)},
          .tokenizer = session_.tokenizer.get(),
          .seed = session_.seed,
          .progress = static_cast<double>(state.step) /
                      static_cast<double>(std::max<std::int64_t>(session_.train.steps, 1))};
}

namespace {
void add_metrics(std::vector<Metric>& all, const std::vector<Metric>& some) {
  for (const Metric& metric : some) {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const Metric& other) { return other.name == metric.name; });
    if (known == all.end()) {
      all.push_back(metric);
    } else {
      known->sum += metric.sum;
      known->weight += metric.weight;
    }
  }
}
}  // namespace

StepReport Trainer::step() {
  const TrainSettings& train = session_.train;
  Parameters& parameters = session_.parameters;
  StepReport report;
  double weight = 0;
  double loss = 0;
  // Feeds that act use the model too: before the step's memory is laid out.
  std::vector<Batch> batches;
  std::string shape = "train";
  for (std::int64_t micro = 0; micro < train.accumulation; ++micro) {
    batches.push_back(session_.feed->batch(state.step * train.accumulation + micro));
    shape += cat(" ", batches.back().rows, "x", batches.back().length);
  }
  {
    const Arena::Step memory(arena_, shape);
    parameters.begin_gradients();
    for (std::int64_t micro = 0; micro < train.accumulation; ++micro) {
      Batch& batch = batches[static_cast<std::size_t>(micro)];
      const ObjectivePass options = pass(true, micro);
      if (!batch.prepared) session_.objective->prepare(batch, options);
      Tape tape;
      const Loss part = session_.objective->loss(batch, options);
      loss += part.sum.item();
      weight += part.weight;
      report.tokens += static_cast<double>(batch.rows * batch.length);
      add_metrics(report.metrics, batch.metrics);
      add_metrics(report.metrics, part.metrics);
      tape.backward(part.sum);
      session_.feed->observe(batch, part);
    }
    parameters.finish_gradients();
  }
  if (weight <= 0) {
    fail("step ", state.step, ": no place of the batch counts (all loss weights are 0)");
  }
  const double squares = session_.backend->sum_of_squares(parameters.gradient().view());
  report.loss = loss / weight;
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
  const double factor = session_.schedule->factor(state.step, train.steps);
  report.rate = session_.optimizer->rate() * factor;
  update(scale, factor);
  ++state.step;
  state.tokens += report.tokens;
  return report;
}

void Trainer::update(double scale, double factor) {
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
                              .gradient = window(parameters.gradient(), begin, end),
                              .first = window(first, begin, end),
                              .second = window(second, begin, end),
                              .shadow = window(parameters.shadow(), begin, end),
                              .gradient_scale = scale,
                              .rate_factor = factor,
                              .decay = decay,
                              .step = state.step + 1});
  }
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
    const ObjectivePass options = pass(false, 0);
    if (!batch.prepared) session_.objective->prepare(batch, options);
    const Loss part = session_.objective->evaluate(batch, options);
    if (part.sum) add_metrics(metrics, {{"loss", part.sum.item(), part.weight}});
    add_metrics(metrics, batch.metrics);
    add_metrics(metrics, part.metrics);
  }
  Evaluation evaluation;
  for (const Metric& metric : metrics) {
    if (!std::isfinite(metric.sum)) {
      fail("step ", state.step, ": the ", metric.name, " of the evaluation is ", metric.sum,
           "; nothing was saved. Lower optimizer.rate, set train.clip, or go on from the last ",
           "checkpoint with other data");
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
