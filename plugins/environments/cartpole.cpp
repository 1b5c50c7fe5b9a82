// Environment "cartpole": keep a pole upright on a cart (Barto, Sutton & Anderson 1983, "Neuronlike
// adaptive elements that can solve difficult learning control problems"; Gymnasium's CartPole-v1).
//
//   [environment]
//   use = "cartpole"
//
// Observation: position (m), velocity (m/s), angle (rad), angular velocity (rad/s). Actions: push
// by 10 N to the left (0) or right (1). Each step of .02 s earns 1; the episode ends when the cart
// is 2.4 m from the middle or the pole 12 degrees from upright, and is cut off after 500 steps. The
// state is kept in f64, as Gymnasium does.
#include <lathe/learn/episodes.h>
#include <lathe/learn/picture.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace lathe {

class CartPole final : public Environment {
 public:
  struct Options : Keys {
    std::string integrator = key("integrator", "euler", "how the equations of motion are solved",
                                 one_of({"euler", "semi-implicit"}));
    bool sutton_barto_reward =
        key("sutton_barto_reward", false, "0 for each step and -1 for the fall");
    std::int64_t limit = key("limit", 500, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit CartPole(const Config& config) : with_(config) {}

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "cartpole", with_.limit);
    const auto rows = static_cast<std::size_t>(context.rows);
    for (auto* numbers : {&position_, &velocity_, &angle_, &spin_}) numbers->assign(rows, 0.0);
  }

  Space observations() const override {
    constexpr float open = std::numeric_limits<float>::infinity();
    const float far = static_cast<float>(2 * edge), tilt = static_cast<float>(2 * fallen);
    return Space::box({-far, -open, -tilt, -open}, {far, open, tilt, open});
  }
  Space actions() const override { return Space::discrete(2); }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    const auto draw = [&](std::uint64_t i) { return -0.05 + 0.1 * episodes_.uniform(row, i); };
    position_[r] = draw(0);
    velocity_[r] = draw(1);
    angle_[r] = draw(2);
    spin_[r] = draw(3);
    show(r, now);
  }

  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    const bool euler = with_.integrator == "euler";
    for (std::size_t r = 0; r < position_.size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action > 1) fail_on_action("cartpole", row, action, 2);
      const bool last = episodes_.advance(row);
      move(r, action == 1 ? force : -force, euler);
      show(r, now);
      const bool fell =
          position_[r] < -edge || position_[r] > edge || angle_[r] < -fallen || angle_[r] > fallen;
      outcomes.rewards[r] = with_.sutton_barto_reward ? (fell ? -1.0f : 0.0f) : 1.0f;
      outcomes.terminated[r] = fell;
      outcomes.truncated[r] = last && !fell;
    }
  }

  std::string render(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    Picture picture(61, 8, -edge, -0.1, edge, 1.1);
    const double x = position_[r];
    picture.line(-edge, 0, edge, 0, '_');
    // The pole's length is 1 m; the picture widens its lean fourfold to let it be seen.
    picture.line(x, 0.1, x + 4 * std::sin(angle_[r]), std::cos(angle_[r]), '|');
    picture.line(x - 0.2, 0, x + 0.2, 0, '#');
    return picture.text() + "position " + shown(x) + "  velocity " + shown(velocity_[r]) +
           "  angle " + shown(angle_[r]) + "  spin " + shown(spin_[r]) + '\n';
  }

  std::string action_name(std::int32_t action) const override {
    return action == 0 ? "left" : "right";
  }

  void save(State& state) const override {
    episodes_.save(state);
    state.put("position", position_);
    state.put("velocity", velocity_);
    state.put("angle", angle_);
    state.put("spin", spin_);
  }

  void load(const State& state) override {
    episodes_.load(state);
    restore(state, "position", position_);
    restore(state, "velocity", velocity_);
    restore(state, "angle", angle_);
    restore(state, "spin", spin_);
  }

 private:
  static constexpr double gravity = 9.8, cart_mass = 1.0, pole_mass = 0.1;
  static constexpr double mass = pole_mass + cart_mass;
  static constexpr double half_length = 0.5;
  static constexpr double moment = pole_mass * half_length;
  static constexpr double force = 10.0, seconds = 0.02;
  static constexpr double edge = 2.4, fallen = 12 * 2 * std::numbers::pi / 360;

  // With push F, angle a, spin w (primes are time derivatives):
  //   t = (F + m l w^2 sin a) / M,  w' = (g sin a - t cos a) / (l (4/3 - m cos^2 a / M)),
  //   v' = t - m l w' cos a / M     (Florian 2005, "Correct equations for the dynamics of the
  //                                  cart-pole system", without friction)
  void move(std::size_t r, double push, bool euler) {
    double x = position_[r], v = velocity_[r], a = angle_[r], w = spin_[r];
    const double cosine = std::cos(a), sine = std::sin(a);
    const double t = (push + moment * (w * w) * sine) / mass;
    const double w_rate = (gravity * sine - cosine * t) /
                          (half_length * (4.0 / 3.0 - pole_mass * (cosine * cosine) / mass));
    const double v_rate = t - moment * w_rate * cosine / mass;
    if (euler) {
      x += seconds * v;
      v += seconds * v_rate;
      a += seconds * w;
      w += seconds * w_rate;
    } else {
      v += seconds * v_rate;
      x += seconds * v;
      w += seconds * w_rate;
      a += seconds * w;
    }
    position_[r] = x;
    velocity_[r] = v;
    angle_[r] = a;
    spin_[r] = w;
  }

  void show(std::size_t r, Observations& now) const {
    float* seen = now.numbers.data() + 4 * r;
    seen[0] = static_cast<float>(position_[r]);
    seen[1] = static_cast<float>(velocity_[r]);
    seen[2] = static_cast<float>(angle_[r]);
    seen[3] = static_cast<float>(spin_[r]);
  }

  Options with_;
  Episodes episodes_;
  std::vector<double> position_, velocity_, angle_, spin_;  // [E]
};

LATHE_PLUGIN(Environment, CartPole, "cartpole", "1.0.0")
}  // namespace lathe
