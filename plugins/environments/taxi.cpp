// Environment "taxi": fetch a passenger and bring him where he wants to go (Dietterich 2000,
// "Hierarchical reinforcement learning with the MAXQ value function decomposition"; Gymnasium's
// Taxi-v4).
//
//   [environment]
//   use = "taxi"
//
//   +---------+
//   |R: | : :G|
//   | : | : : |
//   | : : : : |
//   | | : | : |
//   |Y| : |B: |
//   +---------+
//
// State: ((5 row + column) 5 + passenger) 4 + destination. The passenger waits at R, G, Y, B
// (0 ... 3) or sits in the taxi (4). Each step costs 1, a pick-up or drop-off that is not possible
// 10; bringing him home earns 20 and ends the episode. Walls | stop the taxi. The best mean return
// over the 300 ways to start is 7.93.
#include <lathe/learn/picture.h>
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>

namespace lathe {

class Taxi final : public TabularEnvironment {
 public:
  struct Options : Keys {
    bool rainy = key("rainy", false, "a drive may drift to the side");
    double success =
        key("success", 0.8, "how often a drive in the rain goes where it aims", between(0, 1));
    std::int64_t limit = key("limit", 200, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit Taxi(const Config& config) : with_(config) {
    shape("taxi", 5 * 5 * 5 * 4, 6, with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    const Place from = place_of(state);
    if (action >= 4) return {action == 4 ? picked_up(from) : dropped(from)};
    const Place ahead = driven(from, action);
    const Transition straight{1, number_of(ahead), -1, false};
    if (!with_.rainy) return {straight};
    // What cannot drive does not drift.
    if (ahead.row == from.row && ahead.column == from.column) return in_rain(from, from, from);
    constexpr std::array left{2, 3, 1, 0}, right{3, 2, 0, 1};
    const auto a = static_cast<std::size_t>(action);
    return in_rain(ahead, drifted(from, left[a]), drifted(from, right[a]));
  }

  std::vector<Transition> beginnings() const override {
    std::vector<Transition> starts;
    for (std::int32_t state = 0; state < 500; ++state) {
      const Place place = place_of(state);
      const bool waits = place.passenger < 4 && place.passenger != place.destination;
      if (waits) starts.push_back({1.0 / 300, state});
    }
    return starts;
  }

  std::string render(std::int64_t row) const override {
    const Place place = place_of(state_of(row));
    std::vector<std::string> map(picture.begin(), picture.end());
    const std::string names = "RGYB";
    const std::string passenger = place.passenger == 4
                                      ? "in the taxi"
                                      : "at " + names.substr(std::size_t(place.passenger), 1);
    return map_picture(map, place.row + 1, 2 * place.column + 1) + "passenger " + passenger +
           ", to " + names[static_cast<std::size_t>(place.destination)] + '\n';
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"south", "north", "east", "west", "pick up", "drop off"}.at(
        static_cast<std::size_t>(action));
  }

 private:
  struct Place {
    std::int32_t row, column, passenger, destination;
  };
  static constexpr std::array picture{"+---------+", "|R: | : :G|", "| : | : : |", "| : : : : |",
                                      "| | : | : |", "|Y| : |B: |", "+---------+"};
  static constexpr std::array<std::array<std::int32_t, 2>, 4> stands{
      {{0, 0}, {0, 4}, {4, 0}, {4, 3}}};

  static Place place_of(std::int32_t state) {
    return {state / 100, state / 20 % 5, state / 4 % 5, state % 4};
  }
  static std::int32_t number_of(const Place& place) {
    return ((place.row * 5 + place.column) * 5 + place.passenger) * 4 + place.destination;
  }
  // The stand where the taxi is, or -1.
  static std::int32_t stand_at(const Place& place) {
    const auto found = std::find(stands.begin(), stands.end(), std::array{place.row, place.column});
    return found == stands.end() ? -1 : static_cast<std::int32_t>(found - stands.begin());
  }
  static char mark(std::int32_t row, std::int32_t column) {
    return picture[static_cast<std::size_t>(row)][column];
  }

  static Place moved(const Place& from, std::int32_t direction) {
    constexpr std::array south{1, -1, 0, 0}, east{0, 0, 1, -1};
    const auto d = static_cast<std::size_t>(direction);
    return {std::clamp(from.row + south[d], 0, 4), std::clamp(from.column + east[d], 0, 4),
            from.passenger, from.destination};
  }

  static Place driven(const Place& from, std::int32_t direction) {
    if (direction == 2 && mark(from.row + 1, 2 * from.column + 2) != ':') return from;
    if (direction == 3 && mark(from.row + 1, 2 * from.column) != ':') return from;
    return moved(from, direction);
  }

  // As Gymnasium does it: whether a wall stops the drift is read beside the cell that it leads to.
  static Place drifted(const Place& from, std::int32_t direction) {
    const Place to = moved(from, direction);
    if (direction == 2 && mark(to.row + 1, 2 * to.column) != ':') return from;
    if (direction == 3 && mark(to.row + 1, 2 * to.column + 2) != ':') return from;
    return to;
  }

  std::vector<Transition> in_rain(const Place& ahead, const Place& left, const Place& right) const {
    const double side = (1 - with_.success) / 2;
    return {{with_.success, number_of(ahead), -1, false},
            {side, number_of(left), -1, false},
            {side, number_of(right), -1, false}};
  }

  static Transition picked_up(Place place) {
    const bool can = place.passenger < 4 && stand_at(place) == place.passenger;
    if (can) place.passenger = 4;
    return {1, number_of(place), can ? -1.0 : -10.0, false};
  }

  static Transition dropped(Place place) {
    const std::int32_t stand = stand_at(place);
    if (place.passenger != 4 || stand < 0) return {1, number_of(place), -10, false};
    place.passenger = stand;
    const bool home = stand == place.destination;
    return {1, number_of(place), home ? 20.0 : -1.0, home};
  }

  Options with_;
};

LATHE_PLUGIN(Environment, Taxi, "taxi", "1.0.0")
}  // namespace lathe
