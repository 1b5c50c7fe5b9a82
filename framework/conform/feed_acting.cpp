// What a feed promises that acts in an environment.
#include <lathe/conform/feed_acting.h>
#include <lathe/conform/learner.h>
#include <lathe/conform/small_model.h>
#include <lathe/learn/episodes.h>
#include <lathe/learn/feed.h>

#include <algorithm>
#include <cmath>

namespace lathe::conform {
namespace {
// Five states in a ring: an action goes so many states on, and an episode ends one time in six, or
// is cut off after nine steps.
class Ring final : public Environment {
 public:
  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "ring", 9);
    states_.assign(static_cast<std::size_t>(context.rows), 0);
  }
  Space observations() const override { return Space::discrete(5); }
  Space actions() const override { return Space::discrete(4); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    states_[r] = now.states[r] = static_cast<std::int32_t>(5 * episodes_.uniform(row));
  }
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < states_.size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action >= 4) fail_on_action("ring", row, action, 4);
      const bool last = episodes_.advance(row);
      states_[r] = now.states[r] = (states_[r] + action + 1) % 5;
      outcomes.rewards[r] = 0.25f * static_cast<float>(states_[r]) - 0.5f;
      outcomes.terminated[r] = episodes_.uniform(row) < 1.0 / 6;
      outcomes.truncated[r] = last && outcomes.terminated[r] == 0;
    }
  }
  void save(State& state) const override {
    episodes_.save(state);
    state.put("states", states_);
  }
  void load(const State& state) override {
    episodes_.load(state);
    restore(state, "states", states_);
  }

 private:
  Episodes episodes_;
  std::vector<std::int32_t> states_;
};

// Acts by the model's chances and has nothing to learn.
class Onlooker final : public Objective {
 public:
  Loss loss(const Batch&, const ObjectivePass&) override { return {}; }
};

// A feed opened on the ring, with a model that acts there.
struct Acting {
  Learner learner;
  Onlooker objective;
  std::unique_ptr<Feed> feed;

  explicit Acting(const Trial& trial, std::uint64_t seed = 7)
      : learner(reference(trial), std::make_unique<SmallModel>(true), counted_world(),
                Precision::f32, 5),
        feed(trial.make<Feed>(trial.options())) {
    if (!feed_acts(trial)) trial.skip("it does not act");
    trial.phase("opening it on a ring of five states");
    FeedContext context;
    context.rows = 4;
    context.length = 1;
    context.seed = seed;
    context.make_environment = [seed](std::int64_t rows) {
      auto ring = std::make_unique<Ring>();
      ring->open({.rows = rows, .seed = seed});
      return ring;
    };
    context.model = learner.model.get();
    context.parameters = &learner.parameters;
    context.objective = &objective;
    context.episodes = 3;
    feed->open(context);
    trial.phase("asking for batches");
  }
  std::string digest(std::int64_t number) {
    const Batch batch = feed->batch(number);
    feed->observe(batch, {});
    return Digest().add(batch).hex();
  }
};

// "" where every array has its size and every value its range.
std::string fault_of(const Batch& batch) {
  const auto places = static_cast<std::size_t>(batch.rows * batch.length);
  const Experience& lived = batch.experience;
  if (places == 0) return cat(batch.rows, " rows of ", batch.length);
  if (batch.tokens.size() != places || batch.targets.size() != places ||
      batch.weights.size() != places || lived.rewards.size() != places ||
      lived.discounts.size() != places || lived.terminated.size() != places ||
      lived.truncated.size() != places) {
    return cat("states, actions, weights, rewards, discounts or ends that are not ", places);
  }
  for (std::size_t n = 0; n < places; ++n) {
    const std::int32_t state = batch.tokens[n], action = batch.targets[n];
    if (batch.weights[n] == 0) continue;  // padding behind an episode's end
    if (state < 0 || state >= 5) return cat("the state ", state);
    if (action < 0 || action >= 4) return cat("the action ", action);
    if (!std::isfinite(batch.weights[n]) || batch.weights[n] < 0) return "a weight out of range";
    if (!std::isfinite(lived.rewards[n])) return "a reward that is no number";
    if (!(lived.discounts[n] >= 0 && lived.discounts[n] <= 1))
      return "a discount outside of 0 .. 1";
    if (lived.terminated[n] != 0 && lived.truncated[n] != 0) return "a step that ends twice over";
  }
  if (!std::is_sorted(lived.open_places.begin(), lived.open_places.end())) {
    return "open places that do not rise";
  }
  if (lived.open_states.size() != lived.open_places.size()) {
    return cat(lived.open_states.size(), " open states for ", lived.open_places.size(), " places");
  }
  for (const std::int64_t place : lived.open_places) {
    if (place < 0 || place >= static_cast<std::int64_t>(places)) return "an open place outside";
  }
  return "";
}

constexpr std::int64_t some_batches = 12;

void lives(Trial& trial) {
  Acting acting(trial);
  std::int64_t before = 0;
  for (std::int64_t n = 0; n < some_batches; ++n) {
    const Batch batch = acting.feed->batch(n);
    const std::string fault = fault_of(batch);
    if (!trial.expect(fault.empty(), "batch ", n, " has ", fault)) return;
    const std::int64_t taken = acting.feed->actions_taken();
    trial.expect(taken >= before && taken > 0, "after batch ", n, " ", taken,
                 " actions have been taken, and ", before, " before it");
    before = taken;
    acting.feed->observe(batch, {});
  }
}

void lives_again(Trial& trial) {
  Acting one(trial), other(trial), seeded(trial, 8);
  bool differs = false;
  for (std::int64_t n = 0; n < some_batches; ++n) {
    const std::string first = one.digest(n);
    trial.expect(other.digest(n) == first, "batch ", n, " of a second instance is another one");
    differs = differs || seeded.digest(n) != first;
  }
  trial.expect(differs, "another seed gives the same batches");
}

void lives_on(Trial& trial) {
  for (const std::int64_t stop : {1, 2, 5}) {
    Acting one(trial), other(trial);
    for (std::int64_t n = 0; n < stop; ++n) one.digest(n);
    State state;
    one.feed->save(state);
    other.feed->load(state);
    trial.expect(other.feed->actions_taken() == one.feed->actions_taken(),
                 "the number of actions changes with save() and load()");
    for (std::int64_t n = stop; n < some_batches; ++n) {
      trial.expect(other.digest(n) == one.digest(n), "batch ", n, " is another one after ", stop,
                   " batches, save() and load()");
    }
  }
}
}  // namespace

bool feed_acts(const Trial& trial) {
  const auto needs = trial.descriptor().needs;
  return std::any_of(needs.begin(), needs.end(),
                     [](std::string_view word) { return word == "environment"; });
}

std::vector<Test> acting_feed_tests() {
  return {{"lives", 1, "what was lived through fits, every value is in range", lives},
          {"lives_again", 2, "the same seed lives through the same", lives_again},
          {"lives_on", 2, "it goes on from where it stood", lives_on}};
}

}  // namespace lathe::conform
