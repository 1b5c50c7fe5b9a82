// Environment "random_walk": to the left or to the right, equally likely, until an end is reached
// (Sutton & Barto, Reinforcement Learning, 2018, Examples 6.2 and 7.1). There is one action: the
// task is to predict.
//
//   [environment]
//   use = "random_walk"
//   states = 19
//
// States 1 ... n lie between the ends 0 and n + 1; an episode begins in the middle. The left end
// earns `left`, the right end `right`. Undiscounted, state i is worth
// left + (right - left) i / (n + 1).
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class RandomWalk final : public TabularEnvironment {
 public:
  struct Options : Keys {
    int states = key("states", 19, "between the ends", between(1, 1000000));
    double left = key("left", -1.0, "reward of the left end");
    double right = key("right", 1.0, "reward of the right end");
    std::int64_t limit = key("limit", 0, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit RandomWalk(const Config& config) : with_(config) {
    shape("random_walk", with_.states + 2, 1, with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t) const override {
    const std::int32_t end = with_.states + 1;
    if (state == 0 || state == end) return {{1, state, 0, true}};
    const bool leftmost = state == 1, rightmost = state == with_.states;
    return {{0.5, state - 1, leftmost ? with_.left : 0.0, leftmost},
            {0.5, state + 1, rightmost ? with_.right : 0.0, rightmost}};
  }

  std::vector<Transition> beginnings() const override { return {{1, (with_.states + 1) / 2}}; }

  std::string render(std::int64_t row) const override {
    std::string line(static_cast<std::size_t>(with_.states + 2), '.');
    line.front() = line.back() = '|';
    line[static_cast<std::size_t>(state_of(row))] = '@';
    return line + '\n';
  }

  std::string action_name(std::int32_t) const override { return "go on"; }

 private:
  Options with_;
};

LATHE_PLUGIN(Environment, RandomWalk, "random_walk", "1.0.0")
}  // namespace lathe
