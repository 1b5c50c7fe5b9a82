// Environment "cliff_walking": from start to goal along a cliff (Sutton & Barto, Reinforcement
// Learning, 2018, Example 6.6; Gymnasium's CliffWalking-v1, with slippery = true
// CliffWalkingSlippery-v1).
//
//   [environment]
//   use = "cliff_walking"
//
//   o o o o o o o o o o o o
//   o o o o o o o o o o o o
//   o o o o o o o o o o o o
//   S C C C C C C C C C C G
//
// State: 12 row + column, row 0 on top. Each step costs 1, a fall into C costs 100 and leads back
// to the start S; the episode ends at G. The best path, along the edge, earns -13.
#include <lathe/learn/picture.h>
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>

namespace lathe {

class CliffWalking final : public TabularEnvironment {
 public:
  struct Options : Keys {
    bool slippery = key("slippery", false, "one step in three goes left, one right of the aim");
    std::int64_t limit = key("limit", 0, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit CliffWalking(const Config& config) : with_(config) {
    shape("cliff_walking", rows * columns, 4, with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    if (!with_.slippery) return {way(state, action, 1)};
    return {way(state, (action + 3) % 4, 1.0 / 3), way(state, action, 1.0 / 3),
            way(state, (action + 1) % 4, 1.0 / 3)};
  }

  std::vector<Transition> beginnings() const override { return {{1, start}}; }

  std::string render(std::int64_t row) const override {
    const std::string path(columns, '.');
    return map_picture({path, path, path, "S" + std::string(columns - 2, 'C') + "G"},
                       state_of(row) / columns, state_of(row) % columns);
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"up", "right", "down", "left"}.at(static_cast<std::size_t>(action));
  }

 private:
  static constexpr std::int32_t rows = 4, columns = 12, start = 36, goal = 47;

  static Transition way(std::int32_t state, std::int32_t direction, double probability) {
    constexpr std::array down{-1, 0, 1, 0}, right{0, 1, 0, -1};
    const auto d = static_cast<std::size_t>(direction);
    const std::int32_t row = std::clamp(state / columns + down[d], 0, rows - 1);
    const std::int32_t column = std::clamp(state % columns + right[d], 0, columns - 1);
    const std::int32_t next = row * columns + column;
    if (next > start && next < goal) return {probability, start, -100, false};
    return {probability, next, -1, next == goal};
  }

  Options with_;
};

LATHE_PLUGIN(Environment, CliffWalking, "cliff_walking", "1.0.0")
}  // namespace lathe
