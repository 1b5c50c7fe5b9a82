// What [wrap] puts before an environment, in numbers.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/episodes.h>
#include <lathe/learn/wrap.h>

#include <cmath>

namespace lathe {
namespace {

// Shows (10 episode + step, -step), or the step as a state; earns the step; ends at step 4.
class Counting final : public Environment {
 public:
  explicit Counting(bool table = false) : table_(table) {}
  void open(const EnvironmentContext& context) override {
    episodes_.assign(static_cast<std::size_t>(context.rows), 0);
    steps_ = episodes_;
  }
  Space observations() const override {
    return table_ ? Space::discrete(5) : Space::box({0, -5}, {99, 0});
  }
  Space actions() const override { return Space::discrete(1); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    const auto r = static_cast<std::size_t>(row);
    episodes_[r] = static_cast<std::int32_t>(episode);
    steps_[r] = 0;
    show(r, now);
  }
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < steps_.size(); ++r) {
      if (actions.choices[r] < 0) continue;
      ++steps_[r];
      show(r, now);
      outcomes.rewards[r] = static_cast<float>(steps_[r]);
      outcomes.terminated[r] = steps_[r] == 4;
      outcomes.truncated[r] = 0;
    }
  }
  void save(State& state) const override {
    state.put("episodes", episodes_);
    state.put("steps", steps_);
  }
  void load(const State& state) override {
    restore(state, "episodes", episodes_);
    restore(state, "steps", steps_);
  }

 private:
  void show(std::size_t r, Observations& now) const {
    if (table_) {
      now.states[r] = steps_[r];
    } else {
      now.numbers[2 * r] = static_cast<float>(10 * episodes_[r] + steps_[r]);
      now.numbers[2 * r + 1] = static_cast<float>(-steps_[r]);
    }
  }
  bool table_;
  std::vector<std::int32_t> episodes_, steps_;
};

struct Opened {
  Opened(const std::string& options, std::int64_t rows, bool table = false,
         std::shared_ptr<WrapStatistics> shared = nullptr, Split split = Split::train) {
    is = wrapped(std::make_unique<Counting>(table), WrapSettings(parse_toml(options, "wrap_test")),
                 0.5, std::move(shared));
    EnvironmentContext context;
    context.rows = rows;
    context.split = split;
    is->open(context);
    now = empty_observations(is->observations(), rows);
    outcomes = empty_outcomes(rows);
    actions.choices.resize(static_cast<std::size_t>(rows));
  }
  void step() { is->step(actions, now, outcomes); }

  std::unique_ptr<Environment> is;
  Observations now;
  Actions actions;
  Outcomes outcomes;
};

TEST(Wrap, NothingAskedIsNothingBetween) {
  auto inner = std::make_unique<Counting>();
  const Environment* before = inner.get();
  const auto after = wrapped(std::move(inner), WrapSettings(Config()), 1, nullptr);
  EXPECT_EQ(after.get(), before);
}

TEST(Wrap, TimeLimitTruncatesButNotAnEnd) {
  Opened two("time_limit = 2", 2), four("time_limit = 4", 1);
  two.is->reset(0, 0, two.now);
  two.is->reset(1, 0, two.now);
  two.step();
  EXPECT_EQ(two.outcomes.truncated, (std::vector<std::uint8_t>{0, 0}));
  two.is->reset(1, 1, two.now);
  two.step();
  EXPECT_EQ(two.outcomes.truncated, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(two.now.numbers, (std::vector<float>{2, -2, 11, -1}));
  EXPECT_TRUE(two.outcomes.earned.empty());
  four.is->reset(0, 0, four.now);
  for (int step = 0; step < 4; ++step) four.step();
  EXPECT_EQ(four.outcomes.terminated[0], 1);
  EXPECT_EQ(four.outcomes.truncated[0], 0);
}

TEST(Wrap, OneHotAndFrameStack) {
  Opened one("one_hot = true\nframe_stack = 2", 1, true);
  EXPECT_EQ(one.is->observations(),
            Space::box(std::vector<float>(10, 0), std::vector<float>(10, 1)));
  one.is->reset(0, 0, one.now);
  EXPECT_EQ(one.now.numbers, (std::vector<float>{1, 0, 0, 0, 0, 1, 0, 0, 0, 0}));
  one.step();
  EXPECT_EQ(one.now.numbers, (std::vector<float>{1, 0, 0, 0, 0, 0, 1, 0, 0, 0}));
  one.step();
  EXPECT_EQ(one.now.numbers, (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 1, 0, 0}));

  Opened three("frame_stack = 3", 1);
  EXPECT_EQ(three.is->observations().low, (std::vector<float>{0, -5, 0, -5, 0, -5}));
  three.is->reset(0, 1, three.now);
  three.step();
  three.step();
  three.step();
  EXPECT_EQ(three.now.numbers, (std::vector<float>{11, -1, 12, -2, 13, -3}));
  three.is->reset(0, 2, three.now);
  EXPECT_EQ(three.now.numbers, (std::vector<float>{20, 0, 20, 0, 20, 0}));
}

// From the definition: 1e-4 numbers of mean 0 and variance 1, and those that came.
double normalised(double value, const std::vector<double>& seen) {
  double count = 1e-4, sum = 0, squares = 1e-4;
  for (const double one : seen) {
    count += 1;
    sum += one;
    squares += one * one;
  }
  const double mean = sum / count;
  return (value - mean) / std::sqrt(squares / count - mean * mean + 1e-8);
}

TEST(Wrap, NormalisesObservationsByAllThatWasSeen) {
  const auto shared = std::make_shared<WrapStatistics>();
  Opened one("normalise_observations = true\nobservation_clip = 1.2", 2, false, shared);
  EXPECT_EQ(one.is->observations().high, (std::vector<float>{1.2f, 1.2f}));
  one.is->reset(0, 1, one.now);
  EXPECT_NEAR(one.now.numbers[0], normalised(10, {10}), 1e-6);
  EXPECT_NEAR(one.now.numbers[1], 0, 1e-6);
  one.is->reset(1, 3, one.now);
  EXPECT_NEAR(one.now.numbers[2], normalised(30, {10, 30}), 1e-6);
  EXPECT_NEAR(one.now.numbers[0], normalised(10, {10}), 1e-6);  // as it was shown
  one.step();
  const std::vector<double> seen{10, 30, 11, 31};  // both rows of a step, then both are shown
  EXPECT_NEAR(one.now.numbers[0], normalised(11, seen), 1e-6);
  EXPECT_NEAR(one.now.numbers[2], normalised(31, seen), 1e-6);
  EXPECT_NEAR(one.now.numbers[1], normalised(-1, {0, 0, -1, -1}), 1e-6);
  one.actions.choices[0] = -1;  // a row that rests is neither seen nor shown again
  one.step();
  EXPECT_NEAR(one.now.numbers[0], normalised(11, seen), 1e-6);
  EXPECT_NEAR(one.now.numbers[2], normalised(32, {10, 30, 11, 31, 32}), 1e-6);
  one.is->reset(1, 9, one.now);
  EXPECT_GT(normalised(90, {10, 30, 11, 31, 32, 90}), 1.2);
  EXPECT_EQ(one.now.numbers[2], 1.2f);

  // Evaluation reads the statistics and leaves them.
  Opened other("normalise_observations = true\nobservation_clip = 1.2", 1, false, shared,
               Split::validation);
  other.is->reset(0, 2, other.now);
  EXPECT_NEAR(other.now.numbers[0], normalised(20, {10, 30, 11, 31, 32, 90}), 1e-6);
  other.step();
  EXPECT_NEAR(other.now.numbers[0], normalised(21, {10, 30, 11, 31, 32, 90}), 1e-6);
  EXPECT_NEAR(shared->observations[0].count, 6, 1e-3);
}

TEST(Wrap, RewardsAreScaledNormalisedAndCut) {
  Opened scaled("reward_scale = -2.0\nreward_clip = 5.0", 1);
  scaled.is->reset(0, 0, scaled.now);
  for (const float expected : {-2.0f, -4.0f, -5.0f}) {
    scaled.step();
    EXPECT_EQ(scaled.outcomes.rewards[0], expected);
  }
  EXPECT_EQ(scaled.outcomes.earned[0], 3);

  // The returns are 1, then .5 + 2 = 2.5, then 1.25 + 3 = 4.25; a reset begins at 0 again.
  const auto unit = [](const std::vector<double>& returns) {
    return (normalised(1, returns) - normalised(0, returns));  // 1 / deviation
  };
  Opened one("normalise_rewards = true\nreward_clip = 100.0", 1);
  one.is->reset(0, 0, one.now);
  one.step();
  EXPECT_NEAR(one.outcomes.rewards[0], 1 * unit({1}), 1e-4);
  one.step();
  EXPECT_NEAR(one.outcomes.rewards[0], 2 * unit({1, 2.5}), 1e-5);
  EXPECT_EQ(one.outcomes.earned[0], 2);
  one.step();
  EXPECT_NEAR(one.outcomes.rewards[0], 3 * unit({1, 2.5, 4.25}), 1e-5);
  one.is->reset(0, 1, one.now);
  one.step();
  EXPECT_NEAR(one.outcomes.rewards[0], 1 * unit({1, 2.5, 4.25, 1}), 1e-5);

  Opened cut("normalise_rewards = true", 1);  // the first deviation is near .01
  cut.is->reset(0, 0, cut.now);
  cut.step();
  EXPECT_EQ(cut.outcomes.rewards[0], 10);
}

TEST(Wrap, GoesOnFromItsSavedState) {
  const std::string options =
      "normalise_observations = true\nnormalise_rewards = true\nframe_stack = 2\ntime_limit = 3";
  Opened whole(options, 2), part(options, 2);
  whole.is->reset(0, 0, whole.now);
  whole.is->reset(1, 4, whole.now);
  whole.step();
  State state;
  whole.is->save(state);
  part.is->load(state);
  for (int step = 0; step < 2; ++step) {
    whole.step();
    part.step();
    EXPECT_EQ(part.now.numbers, whole.now.numbers);
    EXPECT_EQ(part.outcomes.rewards, whole.outcomes.rewards);
    EXPECT_EQ(part.outcomes.truncated, whole.outcomes.truncated);
  }
  EXPECT_EQ(whole.outcomes.truncated, (std::vector<std::uint8_t>{1, 1}));
}

TEST(Wrap, NamesWhatDoesNotFit) {
  const auto error = [](const std::string& options, bool table) {
    try {
      Opened(options, 1, table);
    } catch (const Error& caught) {
      return std::string(caught.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error("one_hot = true", false),
            "[wrap] one_hot needs states; this environment shows numbers");
  EXPECT_EQ(
      error("normalise_observations = true", true),
      "[wrap] normalise_observations needs numbers, or one_hot = true; this environment shows "
      "states");
  EXPECT_EQ(error("frame_stack = 2", true),
            "[wrap] frame_stack needs numbers, or one_hot = true; this environment shows states");
}

}  // namespace
}  // namespace lathe
