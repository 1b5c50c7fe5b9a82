#include <lathe/learn/episodes.h>
#include <lathe/learn/wrap.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

double deviation(const RunningStatistics& statistics) {
  return std::sqrt(statistics.variance() + 1e-8);
}

class Wrapped final : public Environment {
 public:
  Wrapped(std::unique_ptr<Environment> inner, const WrapSettings& settings, double discount,
          std::shared_ptr<WrapStatistics> shared)
      : with_(settings), inner_(std::move(inner)), discount_(discount), shared_(std::move(shared)) {
    if (!shared_) shared_ = std::make_shared<WrapStatistics>();
  }

  void open(const EnvironmentContext& context) override;
  Space observations() const override;
  Space actions() const override { return inner_->actions(); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override;
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override;
  void settle(Batch& collection) override { inner_->settle(collection); }
  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    return inner_->transitions(state, action);
  }
  std::vector<Transition> beginnings() const override { return inner_->beginnings(); }
  std::string render(std::int64_t row) const override { return inner_->render(row); }
  std::string action_name(std::int32_t action) const override {
    return inner_->action_name(action);
  }
  void save(State& state) const override;
  void load(const State& state) override;

 private:
  bool rests(const Actions& actions, std::size_t row) const {
    return !actions.choices.empty() && actions.choices[row] < 0;
  }
  void demand_settings_fit() const;
  void raw_numbers(std::size_t row, const Observations& raw);
  void learn_from(std::size_t row);
  void show(std::size_t row, bool first, Observations& now);
  void change_rewards(const Actions& actions, Outcomes& outcomes);

  WrapSettings with_;
  std::unique_ptr<Environment> inner_;
  double discount_;
  std::shared_ptr<WrapStatistics> shared_;
  bool learns_ = false;                           // it moves the statistics
  Space seen_;                                    // of the inner environment
  std::size_t rows_ = 0, width_ = 0, shown_ = 0;  // E, numbers of one frame, of all frames
  Observations raw_;                 // [E] of the inner environment, where observations change
  std::vector<float> frame_;         // [E, width]
  std::vector<float> frames_;        // [E, shown]
  std::vector<std::int64_t> steps_;  // [E] of the episode
  std::vector<double> returns_;      // [E] discounted, of rewards as scaled
};

void Wrapped::demand_settings_fit() const {
  if (seen_.kind == Space::Kind::tokens) {
    fail(
        "[wrap] changes what single steps give; this environment writes texts: give their rewards "
        "a weight in [[reward]]");
  }
  const auto what = [&](const char* key, const char* expected) {
    fail("[wrap] ", key, " needs ", expected, "; this environment shows ",
         seen_.kind == Space::Kind::discrete ? "states" : "numbers");
  };
  if (with_.one_hot && seen_.kind != Space::Kind::discrete) what("one_hot", "states");
  const bool numbers = with_.one_hot || seen_.kind == Space::Kind::box;
  if (with_.normalise_observations && !numbers) {
    what("normalise_observations", "numbers, or one_hot = true");
  }
  if (with_.frame_stack > 1 && !numbers) what("frame_stack", "numbers, or one_hot = true");
}

void Wrapped::open(const EnvironmentContext& context) {
  inner_->open(context);
  learns_ = context.split == Split::train;
  seen_ = inner_->observations();
  demand_settings_fit();
  rows_ = index(context.rows);
  steps_.assign(rows_, 0);
  returns_.assign(rows_, 0);
  if (!with_.observations_change()) return;
  width_ = index(seen_.size);
  shown_ = width_ * index(with_.frame_stack);
  raw_ = empty_observations(seen_, context.rows);
  frame_.assign(rows_ * width_, 0);
  frames_.assign(rows_ * shown_, 0);
  if (!with_.normalise_observations) return;
  if (shared_->observations.empty()) shared_->observations.resize(width_);
  if (shared_->observations.size() != width_) {
    fail("[wrap] the statistics of ", shared_->observations.size(),
         " numbers do not belong to this environment, which shows ", width_);
  }
}

Space Wrapped::observations() const {
  const Space inner = inner_->observations();
  if (!with_.observations_change()) return inner;
  const auto width = index(inner.size);
  std::vector<float> low = inner.low, high = inner.high;
  if (with_.one_hot) {
    low.assign(width, 0);
    high.assign(width, 1);
  }
  if (with_.normalise_observations) {
    low.assign(width, -static_cast<float>(with_.observation_clip));
    high.assign(width, static_cast<float>(with_.observation_clip));
  }
  Space space = Space::box({}, {});
  for (std::int64_t frame = 0; frame < with_.frame_stack; ++frame) {
    space.low.insert(space.low.end(), low.begin(), low.end());
    space.high.insert(space.high.end(), high.begin(), high.end());
  }
  space.size = static_cast<std::int64_t>(space.low.size());
  return space;
}

// The row's frame before normalisation.
void Wrapped::raw_numbers(std::size_t row, const Observations& raw) {
  float* frame = &frame_[row * width_];
  if (with_.one_hot) {
    std::fill_n(frame, width_, 0.0F);
    frame[raw.states[row]] = 1;
  } else {
    std::copy_n(&raw.numbers[row * width_], width_, frame);
  }
}

void Wrapped::learn_from(std::size_t row) {
  if (!with_.normalise_observations || !learns_) return;
  for (std::size_t k = 0; k < width_; ++k) {
    shared_->observations[k].add(static_cast<double>(frame_[row * width_ + k]));
  }
}

// Normalises the row's frame and puts it at the end of its stack; an episode's first fills it.
void Wrapped::show(std::size_t row, bool first, Observations& now) {
  float* frame = &frame_[row * width_];
  if (with_.normalise_observations) {
    for (std::size_t k = 0; k < width_; ++k) {
      const RunningStatistics& statistics = shared_->observations[k];
      const double value =
          (static_cast<double>(frame[k]) - statistics.mean) / deviation(statistics);
      frame[k] =
          static_cast<float>(std::clamp(value, -with_.observation_clip, with_.observation_clip));
    }
  }
  float* frames = &frames_[row * shown_];
  if (first) {
    for (std::size_t at = 0; at < shown_; at += width_) std::copy_n(frame, width_, frames + at);
  } else {
    std::copy(frames + width_, frames + shown_, frames);
    std::copy_n(frame, width_, frames + shown_ - width_);
  }
  std::copy_n(frames, shown_, &now.numbers[row * shown_]);
}

void Wrapped::reset(std::int64_t row, std::uint64_t episode, Observations& now) {
  const std::size_t r = index(row);
  steps_[r] = 0;
  returns_[r] = 0;
  if (!with_.observations_change()) return inner_->reset(row, episode, now);
  inner_->reset(row, episode, raw_);
  raw_numbers(r, raw_);
  learn_from(r);
  show(r, true, now);
}

void Wrapped::step(const Actions& actions, Observations& now, Outcomes& outcomes) {
  const bool change = with_.observations_change();
  inner_->step(actions, change ? raw_ : now, outcomes);
  for (std::size_t r = 0; r < rows_; ++r) {
    if (rests(actions, r)) continue;
    const bool last = ++steps_[r] == with_.time_limit;
    if (last && outcomes.terminated[r] == 0) outcomes.truncated[r] = 1;
    if (!change) continue;
    raw_numbers(r, raw_);
    learn_from(r);
  }
  for (std::size_t r = 0; change && r < rows_; ++r) {
    if (!rests(actions, r)) show(r, false, now);
  }
  if (with_.rewards_change()) change_rewards(actions, outcomes);
}

void Wrapped::change_rewards(const Actions& actions, Outcomes& outcomes) {
  outcomes.earned.resize(rows_);
  for (std::size_t r = 0; r < rows_; ++r) {
    if (rests(actions, r)) continue;
    outcomes.earned[r] = outcomes.rewards[r];
    const double scaled = with_.reward_scale * static_cast<double>(outcomes.rewards[r]);
    returns_[r] = discount_ * returns_[r] + scaled;
    if (with_.normalise_rewards && learns_) shared_->returns.add(returns_[r]);
  }
  const double automatic = with_.normalise_rewards ? 10 : std::numeric_limits<double>::infinity();
  const double bound = with_.reward_clip > 0 ? with_.reward_clip : automatic;
  const double unit = with_.normalise_rewards ? deviation(shared_->returns) : 1;
  for (std::size_t r = 0; r < rows_; ++r) {
    if (rests(actions, r)) continue;
    const double scaled = with_.reward_scale * static_cast<double>(outcomes.earned[r]);
    outcomes.rewards[r] = static_cast<float>(std::clamp(scaled / unit, -bound, bound));
  }
}

void Wrapped::save(State& state) const {
  State inner;
  inner_->save(inner);
  state.put("inner", inner);
  state.put("steps", steps_);
  state.put("returns", returns_);
  state.put("frames", frames_);
  state.put("raw", raw_.numbers);
  state.put("raw_states", raw_.states);
  if (!learns_) return;
  State statistics;
  shared_->save(statistics);
  state.put("statistics", statistics);
}

void Wrapped::load(const State& state) {
  inner_->load(state.part("inner"));
  restore(state, "steps", steps_);
  restore(state, "returns", returns_);
  restore(state, "frames", frames_);
  restore(state, "raw", raw_.numbers);
  restore(state, "raw_states", raw_.states);
  if (learns_) shared_->load(state.part("statistics"));
}

}  // namespace

void WrapStatistics::save(State& state) const {
  std::vector<double> numbers;
  for (const RunningStatistics& one : observations) {
    numbers.insert(numbers.end(), {one.count, one.mean, one.squares});
  }
  numbers.insert(numbers.end(), {returns.count, returns.mean, returns.squares});
  state.put("numbers", numbers);
}

void WrapStatistics::load(const State& state) {
  const std::vector<double> numbers = state.get<double>("numbers");
  const std::size_t width = numbers.size() / 3 - 1;
  if (observations.empty()) observations.resize(width);
  if (observations.size() != width) {
    fail("the saved statistics of [wrap] are those of ", width, " numbers; this environment shows ",
         observations.size());
  }
  for (std::size_t k = 0; k <= observations.size(); ++k) {
    RunningStatistics& one = k < observations.size() ? observations[k] : returns;
    one = {numbers[3 * k], numbers[3 * k + 1], numbers[3 * k + 2]};
  }
}

std::unique_ptr<Environment> wrapped(std::unique_ptr<Environment> inner,
                                     const WrapSettings& settings, double discount,
                                     std::shared_ptr<WrapStatistics> shared) {
  const bool nothing =
      settings.time_limit == 0 && !settings.observations_change() && !settings.rewards_change();
  if (nothing) return inner;
  return std::make_unique<Wrapped>(std::move(inner), settings, discount, std::move(shared));
}

}  // namespace lathe
