// What an objective promises.
#include <lathe/conform/settings.h>
#include <lathe/conform/suite.h>
#include <lathe/learn/experience.h>

#include <algorithm>
#include <cmath>

namespace lathe::conform {
namespace {
// The settings that the objective takes with these options: at least one.
std::vector<Setting> taken(const Trial& trial, const Config& options) {
  std::vector<Setting> all;
  std::string refusals;
  for (const Setting& setting : settings_of(trial)) {
    try {
      const Attempt attempt(trial, options, setting);
      attempt.loss(attempt.batch);
      all.push_back(setting);
    } catch (const Error& error) {
      refusals += cat("\n", setting.name, ": ", error.what());
    }
  }
  if (all.empty()) fail("it refuses every model and batch of this test:", refusals);
  return all;
}

std::vector<double> gradient_of_loss(Attempt& attempt, const Batch& batch) {
  attempt.learner.parameters.begin_gradients();
  {
    Tape tape;
    tape.backward(attempt.loss(batch).sum);
  }
  attempt.learner.parameters.finish_gradients();
  return attempt.learner.parameters.gradient().values();
}

std::string exercise(Trial& trial, const Config& options) {
  Digest digest;
  for (const Setting& setting : taken(trial, options)) {
    Attempt attempt(trial, options, setting);
    const Loss loss = attempt.loss(attempt.batch);
    digest.add(setting.name).add(loss.sum.item()).add(loss.weight);
    for (const Metric& metric : loss.metrics) {
      digest.add(metric.name).add(metric.sum).add(metric.weight);
    }
    digest.add(gradient_of_loss(attempt, attempt.batch));
  }
  return digest.hex();
}

void loses(Trial& trial) {
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt attempt(trial, trial.options(), setting);
    const Loss loss = attempt.loss(attempt.batch);
    trial.expect(loss.sum.count() == 1, setting.name, ": the loss has ", loss.sum.count(),
                 " values, expected their sum");
    trial.expect(std::isfinite(loss.sum.item()), setting.name, ": the loss is ", loss.sum.item());
    trial.expect(std::isfinite(loss.weight) && loss.weight > 0, setting.name, ": its weight is ",
                 loss.weight);
    const double discount = attempt.objective->discount();
    trial.expect(discount >= 0 && discount <= 1, "discount() is ", discount);
  }
}

bool provides(const Trial& trial, std::string_view what) {
  const auto words = trial.descriptor().provides;
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return word == what; });
}

void gradients(Trial& trial) {
  if (provides(trial, "semi-gradient")) {
    trial.skip("it says that its gradient is not that of its loss (semi-gradient)");
  }
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt attempt(trial, trial.options(), setting);
    check_gradients(trial, attempt.learner, setting.name,
                    [&] { return attempt.loss(attempt.batch).sum; });
  }
}

// An objective of the environment itself, such as dynamic programming, has nothing to count.
void skip_without_batch(Trial& trial) {
  if (provides(trial, "loss apart from the batch")) {
    trial.skip("it says that its loss does not look at the batch");
  }
}

// What does not count must not pull: another target in its place changes no bit.
void unweighted(Trial& trial) {
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt attempt(trial, trial.options(), setting);
    Batch batch = attempt.batch;
    const auto actions = static_cast<std::int32_t>(attempt.learner.world.fit.vocabulary);
    std::vector<std::size_t> silent;
    for (std::size_t n = 0; n < batch.weights.size(); n += 3) {
      batch.weights[n] = 0;
      if (!batch.token_weights.empty()) batch.token_weights[n] = 0;
      if (batch.targets.empty() || batch.targets[n] >= 0) silent.push_back(n);
    }
    const std::vector<double> first = gradient_of_loss(attempt, batch);
    std::vector<float>& moves = batch.experience.moves;
    const std::size_t width = moves.size() / batch.weights.size();
    for (const std::size_t n : silent) {
      if (!batch.targets.empty()) batch.targets[n] = (batch.targets[n] + 1) % actions;
      for (std::size_t i = 0; i < width; ++i) moves[n * width + i] += 0.5f;
    }
    trial.expect(gradient_of_loss(attempt, batch) == first, setting.name,
                 ": the actions or targets of places with weight 0 change the gradient");
  }
}

// Nothing counts: no gradient at all, and no number that is not finite.
void nothing_counts(Trial& trial) {
  skip_without_batch(trial);
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt attempt(trial, trial.options(), setting);
    Batch batch = attempt.batch;
    std::fill(batch.weights.begin(), batch.weights.end(), 0.0f);
    std::fill(batch.token_weights.begin(), batch.token_weights.end(), 0.0f);
    try {
      const Loss loss = attempt.loss(batch);
      trial.expect(loss.sum.item() == 0 && loss.weight == 0, setting.name,
                   ": with all weights 0 the loss is ", loss.sum.item(), " of weight ", loss.weight,
                   ", expected 0 of 0");
      const std::vector<double> gradient = gradient_of_loss(attempt, batch);
      trial.expect(std::all_of(gradient.begin(), gradient.end(), [](double g) { return g == 0; }),
                   setting.name, ": with all weights 0 there is a gradient");
    } catch (const Error& error) {
      trial.expect(error.what()[0] != '\0', "refused a batch without weights without a word");
    }
  }
}

// The loop adds up micro-batches and divides once: so the parts must give the whole.
void adds_up(Trial& trial) {
  skip_without_batch(trial);
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt attempt(trial, trial.options(), setting);
    const Loss whole = attempt.loss(attempt.batch);
    const double sum_of_whole = whole.sum.item();
    const std::vector<double> gradient = gradient_of_loss(attempt, attempt.batch);
    double sum = 0;
    double weight = 0;
    std::vector<double> gradients(gradient.size(), 0.0);
    const std::int64_t half = attempt.batch.rows / 2;
    for (const bool first : {true, false}) {
      std::vector<std::int64_t> rows;
      for (std::int64_t row = 0; row < attempt.batch.rows; ++row) {
        if ((row < half) == first) rows.push_back(row);
      }
      Batch part = select_rows(attempt.batch, rows);
      part.first_row = attempt.batch.first_row + rows.front();  // what is drawn follows the row
      const Loss loss = attempt.loss(part);
      sum += loss.sum.item();
      weight += loss.weight;
      const std::vector<double> own = gradient_of_loss(attempt, part);
      for (std::size_t i = 0; i < own.size(); ++i) gradients[i] += own[i];
    }
    trial.expect(std::abs(weight - whole.weight) <= 1e-12 * whole.weight, setting.name,
                 ": two halves weigh ", weight, ", the whole ", whole.weight);
    trial.expect(std::abs(sum - sum_of_whole) <= 1e-9 * (std::abs(sum_of_whole) + 1e-3),
                 setting.name, ": two halves lose ", sum, ", the whole ", sum_of_whole,
                 ": what is normalised over a batch belongs into prepare()");
    trial.expect(relative_error(gradients, gradient) < 1e-9, setting.name,
                 ": the gradients of two halves do not add up to that of the whole");
  }
}

void resumes(Trial& trial) {
  for (const Setting& setting : taken(trial, trial.options())) {
    Attempt one(trial, trial.options(), setting), other(trial, trial.options(), setting);
    one.loss(one.batch);
    State state;
    one.objective->save(state);
    other.objective->load(state);
    trial.expect(one.loss(one.batch).sum.item() == other.loss(other.batch).sum.item(), setting.name,
                 ": another loss after save() and load()");
  }
}
}  // namespace

Suite objective_suite() {
  return {.kind = "objective",
          .fitting = Config().with("normalise", Config::text("collection")),
          .exercise = exercise,
          .tests = {{"loses", 1, "a finite sum and its weight", loses},
                    {"gradients", 2, "its gradient agrees with central differences", gradients},
                    {"unweighted", 2, "places of weight 0 give no gradient", unweighted},
                    {"nothing_counts", 2, "a batch without weight loses exactly 0, or is refused",
                     nothing_counts},
                    {"adds_up", 2, "parts of a batch add up to the whole", adds_up},
                    {"resumes", 3, "it goes on from what it saved", resumes}}};
}

}  // namespace lathe::conform
