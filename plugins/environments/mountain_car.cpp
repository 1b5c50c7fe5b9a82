// Environment "mountain_car": a car too weak for the hill must swing up to the flag (Moore 1990,
// "Efficient memory-based learning for robot control"; Gymnasium's MountainCar-v0).
//
//   [environment]
//   use = "mountain_car"
//
// Observation: position in -1.2 ... 0.6, velocity in -.07 ... .07. Actions: push to the left (0),
// none (1), to the right (2). Each step costs 1; the episode ends at position 0.5 with at least the
// goal's velocity, and is cut off after 200 steps.
#include <lathe/learn/episodes.h>
#include <lathe/learn/picture.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace lathe {

class MountainCar final : public Environment {
 public:
  struct Options : Keys {
    double goal_velocity = key("goal_velocity", 0.0, "least velocity at the flag");
    std::int64_t limit = key("limit", 200, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit MountainCar(const Config& config) : with_(config) {}

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "mountain_car", with_.limit);
    position_.assign(static_cast<std::size_t>(context.rows), 0);
    velocity_ = position_;
  }

  Space observations() const override {
    const float speed = static_cast<float>(fastest);
    return Space::box({static_cast<float>(left), -speed}, {static_cast<float>(right), speed});
  }
  Space actions() const override { return Space::discrete(3); }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    position_[r] = -0.6 + 0.2 * episodes_.uniform(row);
    velocity_[r] = 0;
    show(r, now);
  }

  // v += .001 (action - 1) - .0025 cos 3x, then x += v; the wall on the left stops the car.
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < position_.size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action > 2) fail_on_action("mountain_car", row, action, 3);
      const bool last = episodes_.advance(row);
      double& x = position_[r];
      double& v = velocity_[r];
      v += (action - 1) * 0.001 + std::cos(3 * x) * -0.0025;
      v = std::clamp(v, -fastest, fastest);
      x = std::clamp(x + v, left, right);
      if (x == left && v < 0) v = 0;
      const bool arrived = x >= flag && v >= with_.goal_velocity;
      show(r, now);
      outcomes.rewards[r] = -1;
      outcomes.terminated[r] = arrived;
      outcomes.truncated[r] = last && !arrived;
    }
  }

  std::string render(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    const auto height = [](double x) { return std::sin(3 * x); };
    Picture picture(61, 12, left, -1.1, right + 0.01, 1.3);
    for (double x = left; x <= right; x += 0.01) picture.dot(x, height(x), '.');
    picture.dot(flag, height(flag) + 0.2, 'P');
    picture.dot(position_[r], height(position_[r]) + 0.2, '@');
    return picture.text() + "position " + shown(position_[r]) + "  velocity " +
           shown(velocity_[r]) + '\n';
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"left", "none", "right"}.at(static_cast<std::size_t>(action));
  }

  void save(State& state) const override {
    episodes_.save(state);
    state.put("position", position_);
    state.put("velocity", velocity_);
  }

  void load(const State& state) override {
    episodes_.load(state);
    restore(state, "position", position_);
    restore(state, "velocity", velocity_);
  }

 private:
  static constexpr double left = -1.2, right = 0.6, flag = 0.5, fastest = 0.07;

  void show(std::size_t r, Observations& now) const {
    now.numbers[2 * r] = static_cast<float>(position_[r]);
    now.numbers[2 * r + 1] = static_cast<float>(velocity_[r]);
  }

  Options with_;
  Episodes episodes_;
  std::vector<double> position_, velocity_;  // [E]
};

LATHE_PLUGIN(Environment, MountainCar, "mountain_car", "1.0.0")
}  // namespace lathe
