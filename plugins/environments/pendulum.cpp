// Environment "pendulum": swing a pendulum up and hold it there, by a torque (Gymnasium's
// Pendulum-v1).
//
//   [environment]
//   use = "pendulum"
//
// Observation: cosine, sine (angle 0 is upright) and angular velocity in -8 ... 8. The action is
// one number, a torque in -2 ... 2; what is beyond is cut off. A step of .05 s earns
// -(angle^2 + .1 velocity^2 + .001 torque^2), the angle in -pi ... pi. Nothing ends an episode but
// the limit of 200 steps.
#include <lathe/learn/episodes.h>
#include <lathe/learn/picture.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lathe {

class Pendulum final : public Environment {
 public:
  struct Options : Keys {
    double gravity = key("gravity", 10.0, "m/s^2", at_least(0));
    std::int64_t limit = key("limit", 200, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit Pendulum(const Config& config) : with_(config) {}

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "pendulum", with_.limit);
    angle_.assign(static_cast<std::size_t>(context.rows), 0);
    spin_ = angle_;
  }

  Space observations() const override { return Space::box({-1, -1, -8}, {1, 1, 8}); }
  Space actions() const override { return Space::box({-2}, {2}); }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    angle_[r] = pi * (2 * episodes_.uniform(row, 0) - 1);
    spin_[r] = 2 * episodes_.uniform(row, 1) - 1;
    show(r, now);
  }

  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < angle_.size(); ++r) {
      if (!actions.choices.empty() && actions.choices[r] < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      const bool last = episodes_.advance(row);
      if (std::isnan(actions.numbers[r])) {
        fail("environment pendulum: the torque in row ", row, " is not a number");
      }
      // What comes of a torque in f32 is found in f32, as Gymnasium does.
      const float torque = std::clamp(actions.numbers[r], -2.0f, 2.0f);
      double& angle = angle_[r];
      double& spin = spin_[r];
      double turned = std::fmod(angle + pi, 2 * pi);
      if (turned < 0) turned += 2 * pi;
      turned -= pi;
      const double price =
          turned * turned + 0.1 * (spin * spin) + static_cast<double>(0.001f * (torque * torque));
      spin +=
          (3 * with_.gravity / 2 * std::sin(angle) + static_cast<double>(3.0f * torque)) * seconds;
      spin = std::clamp(spin, -8.0, 8.0);
      angle += spin * seconds;
      show(r, now);
      outcomes.rewards[r] = static_cast<float>(-price);
      outcomes.terminated[r] = false;
      outcomes.truncated[r] = last;
    }
  }

  std::string render(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    Picture picture(25, 12, -1.1, -1.1, 1.1, 1.1);
    picture.line(0, 0, std::sin(angle_[r]), std::cos(angle_[r]), '#');
    picture.dot(0, 0, 'o');
    return picture.text() + "angle " + shown(angle_[r]) + "  spin " + shown(spin_[r]) + '\n';
  }

  void save(State& state) const override {
    episodes_.save(state);
    state.put("angle", angle_);
    state.put("spin", spin_);
  }

  void load(const State& state) override {
    episodes_.load(state);
    restore(state, "angle", angle_);
    restore(state, "spin", spin_);
  }

 private:
  static constexpr double pi = std::numbers::pi, seconds = 0.05;

  void show(std::size_t r, Observations& now) const {
    now.numbers[3 * r] = static_cast<float>(std::cos(angle_[r]));
    now.numbers[3 * r + 1] = static_cast<float>(std::sin(angle_[r]));
    now.numbers[3 * r + 2] = static_cast<float>(spin_[r]);
  }

  Options with_;
  Episodes episodes_;
  std::vector<double> angle_, spin_;  // [E]
};

LATHE_PLUGIN(Environment, Pendulum, "pendulum", "1.0.0")
}  // namespace lathe
