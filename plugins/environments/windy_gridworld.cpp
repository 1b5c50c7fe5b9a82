// Environment "windy_gridworld": a grid with an upward wind in its middle (Sutton & Barto,
// Reinforcement Learning, 2018, Example 6.5; king's moves and stochastic wind are Exercises 6.9 and
// 6.10).
//
//   [environment]
//   use = "windy_gridworld"
//   moves = "king"             # four | king | nine
//
// State: 10 row + column, row 0 on top; from (3, 0) to (3, 7). The wind 0 0 0 1 1 1 2 2 1 0 of the
// column that is left lifts the agent by so many rows. Each step costs 1. The best path takes 15
// steps with four moves, 7 with king's moves.
#include <lathe/learn/picture.h>
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>

namespace lathe {

class WindyGridworld final : public TabularEnvironment {
 public:
  struct Options : Keys {
    std::string moves =
        key("moves", "four", "four directions, a king's eight, or nine (eight and none)",
            one_of({"four", "king", "nine"}));
    bool stochastic =
        key("stochastic", false, "where wind blows: by 1 more, by 1 less or as it is, 1/3 each");
    std::int64_t limit = key("limit", 0, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit WindyGridworld(const Config& config) : with_(config) {
    const std::int32_t count = with_.moves == "four" ? 4 : with_.moves == "king" ? 8 : 9;
    shape("windy_gridworld", rows * columns, count, with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    const std::int32_t lift = wind[static_cast<std::size_t>(state % columns)];
    if (!with_.stochastic || lift == 0) return {way(state, action, lift, 1)};
    return {way(state, action, lift - 1, 1.0 / 3), way(state, action, lift, 1.0 / 3),
            way(state, action, lift + 1, 1.0 / 3)};
  }

  std::vector<Transition> beginnings() const override { return {{1, start}}; }

  std::string render(std::int64_t row) const override {
    std::vector<std::string> map(rows, std::string(columns, '.'));
    map[start / columns][start % columns] = 'S';
    map[goal / columns][goal % columns] = 'G';
    return map_picture(map, state_of(row) / columns, state_of(row) % columns) + "0001112210\n";
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"up",         "right",     "down",    "left", "up right",
                      "down right", "down left", "up left", "stay"}
        .at(static_cast<std::size_t>(action));
  }

 private:
  static constexpr std::int32_t rows = 7, columns = 10, start = 30, goal = 37;
  static constexpr std::array wind{0, 0, 0, 1, 1, 1, 2, 2, 1, 0};

  static Transition way(std::int32_t state, std::int32_t action, std::int32_t lift,
                        double probability) {
    constexpr std::array down{-1, 0, 1, 0, -1, 1, 1, -1, 0}, right{0, 1, 0, -1, 1, 1, -1, -1, 0};
    const auto a = static_cast<std::size_t>(action);
    const std::int32_t row = std::clamp(state / columns + down[a] - lift, 0, rows - 1);
    const std::int32_t column = std::clamp(state % columns + right[a], 0, columns - 1);
    const std::int32_t next = row * columns + column;
    return {probability, next, -1, next == goal};
  }

  Options with_;
};

LATHE_PLUGIN(Environment, WindyGridworld, "windy_gridworld", "1.0.0")
}  // namespace lathe
