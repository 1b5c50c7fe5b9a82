// Environment "acrobot": two links, a motor between them, swing the tip up (Sutton 1996,
// "Generalization in reinforcement learning: successful examples using sparse coarse coding";
// Gymnasium's Acrobot-v1).
//
//   [environment]
//   use = "acrobot"
//
// Observation: cosine and sine of the first angle (0 hangs down) and of the second (0 goes on
// straight), both angular velocities. Actions: torque -1 (0), none (1), 1 (2). Each step of .2 s
// costs 1 but the last; the episode ends when the tip is one link above the hook, and is cut off
// after 500 steps.
#include <lathe/learn/episodes.h>
#include <lathe/learn/picture.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace lathe {

class Acrobot final : public Environment {
 public:
  struct Options : Keys {
    std::string dynamics =
        key("dynamics", "book", "equations of the book, or of the 1996 paper, which lack a term",
            one_of({"book", "nips"}));
    double noise = key("noise", 0.0, "the torque varies by up to this", at_least(0));
    std::int64_t limit = key("limit", 500, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit Acrobot(const Config& config) : with_(config) {}

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "acrobot", with_.limit);
    for (auto& numbers : state_) numbers.assign(static_cast<std::size_t>(context.rows), 0);
  }

  Space observations() const override {
    const float first = static_cast<float>(4 * pi), second = static_cast<float>(9 * pi);
    return Space::box({-1, -1, -1, -1, -first, -second}, {1, 1, 1, 1, first, second});
  }
  Space actions() const override { return Space::discrete(3); }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    for (std::size_t i = 0; i < 4; ++i) {  // rounded to f32, as Gymnasium does
      state_[i][r] = static_cast<float>(-0.1 + 0.2 * episodes_.uniform(row, i));
    }
    show(r, now);
  }

  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < state_[0].size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action > 2) fail_on_action("acrobot", row, action, 3);
      const bool last = episodes_.advance(row);
      double torque = action - 1;
      if (with_.noise > 0) torque += with_.noise * (2 * episodes_.uniform(row) - 1);
      const Four next = moved({state_[0][r], state_[1][r], state_[2][r], state_[3][r]}, torque);
      state_[0][r] = turned(next[0]);
      state_[1][r] = turned(next[1]);
      state_[2][r] = std::clamp(next[2], -4 * pi, 4 * pi);
      state_[3][r] = std::clamp(next[3], -9 * pi, 9 * pi);
      show(r, now);
      const bool up = -std::cos(state_[0][r]) - std::cos(state_[1][r] + state_[0][r]) > 1;
      outcomes.rewards[r] = up ? 0.0f : -1.0f;
      outcomes.terminated[r] = up;
      outcomes.truncated[r] = last && !up;
    }
  }

  std::string render(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    const double first = state_[0][r], both = state_[0][r] + state_[1][r];
    const double x = std::sin(first), y = -std::cos(first);
    Picture picture(45, 20, -2.2, -2.2, 2.2, 2.2);
    picture.line(-2.2, 1, 2.2, 1, '-');
    picture.line(x, y, x + std::sin(both), y - std::cos(both), '*');
    picture.line(0, 0, x, y, '#');
    picture.dot(0, 0, 'o');
    return picture.text() + "angles " + shown(first) + ' ' + shown(state_[1][r]) + "  spins " +
           shown(state_[2][r]) + ' ' + shown(state_[3][r]) + '\n';
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"torque -1", "none", "torque +1"}.at(static_cast<std::size_t>(action));
  }

  void save(State& state) const override {
    episodes_.save(state);
    for (std::size_t i = 0; i < 4; ++i) state.put(names[i], state_[i]);
  }

  void load(const State& state) override {
    episodes_.load(state);
    for (std::size_t i = 0; i < 4; ++i) restore(state, names[i], state_[i]);
  }

 private:
  using Four = std::array<double, 4>;  // both angles, both angular velocities
  static constexpr double pi = std::numbers::pi;
  static constexpr std::array names{"angle1", "angle2", "spin1", "spin2"};

  static Four sum(const Four& a, double factor, const Four& b) {
    return {a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2], a[3] + factor * b[3]};
  }

  // Time derivatives; links of length 1 m and mass 1 kg, centres in their middle, inertia 1 kg m^2
  // (Sutton & Barto, Reinforcement Learning, 1998, section 11.3).
  Four rates(const Four& s, double torque) const {
    constexpr double m1 = 1, m2 = 1, l1 = 1, c1 = 0.5, c2 = 0.5, i1 = 1, i2 = 1, g = 9.8;
    const double d1 =
        m1 * (c1 * c1) + m2 * (l1 * l1 + c2 * c2 + 2 * l1 * c2 * std::cos(s[1])) + i1 + i2;
    const double d2 = m2 * (c2 * c2 + l1 * c2 * std::cos(s[1])) + i2;
    const double phi2 = m2 * c2 * g * std::cos(s[0] + s[1] - pi / 2);
    const double phi1 = -m2 * l1 * c2 * (s[3] * s[3]) * std::sin(s[1]) -
                        2 * m2 * l1 * c2 * s[3] * s[2] * std::sin(s[1]) +
                        (m1 * c1 + m2 * l1) * g * std::cos(s[0] - pi / 2) + phi2;
    const double lacking =
        with_.dynamics == "book" ? m2 * l1 * c2 * (s[2] * s[2]) * std::sin(s[1]) : 0;
    const double second =
        (torque + d2 / d1 * phi1 - lacking - phi2) / (m2 * (c2 * c2) + i2 - d2 * d2 / d1);
    return {s[2], s[3], -(d2 * second + phi1) / d1, second};
  }

  // One Runge-Kutta step of fourth order.
  Four moved(const Four& s, double torque) const {
    constexpr double seconds = 0.2;
    const Four k1 = rates(s, torque);
    const Four k2 = rates(sum(s, seconds / 2, k1), torque);
    const Four k3 = rates(sum(s, seconds / 2, k2), torque);
    const Four k4 = rates(sum(s, seconds, k3), torque);
    Four next;
    for (std::size_t i = 0; i < 4; ++i) {
      next[i] = s[i] + seconds / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    }
    return next;
  }

  static double turned(double angle) {
    while (angle > pi) angle -= 2 * pi;
    while (angle < -pi) angle += 2 * pi;
    return angle;
  }

  void show(std::size_t r, Observations& now) const {
    float* seen = now.numbers.data() + 6 * r;
    for (std::size_t i = 0; i < 2; ++i) {
      seen[2 * i] = static_cast<float>(std::cos(state_[i][r]));
      seen[2 * i + 1] = static_cast<float>(std::sin(state_[i][r]));
      seen[4 + i] = static_cast<float>(state_[2 + i][r]);
    }
  }

  Options with_;
  Episodes episodes_;
  std::array<std::vector<double>, 4> state_;  // [4][E]
};

LATHE_PLUGIN(Environment, Acrobot, "acrobot", "1.0.0")
}  // namespace lathe
