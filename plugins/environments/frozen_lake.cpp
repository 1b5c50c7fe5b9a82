// Environment "frozen_lake": across the ice without falling into a hole (Gymnasium's FrozenLake-v1,
// with map = "8x8" FrozenLake8x8-v1).
//
//   [environment]
//   use = "frozen_lake"
//   map = "8x8"                            # 4x4 | 8x8, or rows of your own:
//   # rows = ["SFF", "FHF", "FFG"]         # start, frozen, hole, goal
//
// State: row times columns + column, row 0 on top. On slippery ice a step goes where it aims with
// probability `success`, else to one of the two sides. Reaching G earns 1; holes and G end the
// episode. The best mean return is .744190 on 4x4 (100 steps) and .913220 on 8x8 (200 steps).
#include <lathe/learn/picture.h>
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>

namespace lathe {

class FrozenLake final : public TabularEnvironment {
 public:
  struct Options : Keys {
    std::string map = key("map", "4x4", "one of Gymnasium's maps", one_of({"4x4", "8x8"}));
    std::vector<std::string> rows =
        key("rows", std::vector<std::string>(), "a map of your own, of the letters S F H G");
    bool slippery = key("slippery", true, "steps may go to a side of where they aim");
    double success =
        key("success", 1.0 / 3, "how often a slippery step goes where it aims", between(0, 1));
    std::int64_t limit =
        key("limit", -1, "steps of an episode; 0: no limit; -1: as Gymnasium, 100, or 200 on 8x8",
            at_least(-1));
  };
  explicit FrozenLake(const Config& config) : with_(config) {
    map_ = with_.rows;
    if (map_.empty() && with_.map == "4x4") map_ = {"SFFF", "FHFH", "FFFH", "HFFG"};
    if (map_.empty()) {
      map_ = {"SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF",
              "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"};
    }
    check_map();
    height_ = static_cast<std::int32_t>(map_.size());
    width_ = static_cast<std::int32_t>(map_[0].size());
    const bool large = with_.rows.empty() && with_.map == "8x8";
    const std::int64_t usual = large ? 200 : 100;
    shape("frozen_lake", height_ * width_, 4, with_.limit < 0 ? usual : with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    const char here = letter(state);
    if (here == 'H' || here == 'G') return {{1, state, 0, true}};
    if (!with_.slippery) return {way(state, action, 1)};
    const double side = (1 - with_.success) / 2;
    return {way(state, (action + 3) % 4, side), way(state, action, with_.success),
            way(state, (action + 1) % 4, side)};
  }

  // At any S, each as likely as another.
  std::vector<Transition> beginnings() const override {
    std::vector<Transition> starts;
    for (std::int32_t state = 0; state < height_ * width_; ++state) {
      if (letter(state) == 'S') starts.push_back({1, state});
    }
    for (Transition& start : starts) start.probability /= static_cast<double>(starts.size());
    return starts;
  }

  std::string render(std::int64_t row) const override {
    return map_picture(map_, state_of(row) / width_, state_of(row) % width_);
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"left", "down", "right", "up"}.at(static_cast<std::size_t>(action));
  }

 private:
  char letter(std::int32_t state) const {
    return map_[static_cast<std::size_t>(state / width_)][static_cast<std::size_t>(state % width_)];
  }

  Transition way(std::int32_t state, std::int32_t direction, double probability) const {
    constexpr std::array down{0, 1, 0, -1}, right{-1, 0, 1, 0};
    const auto d = static_cast<std::size_t>(direction);
    const std::int32_t row = std::clamp(state / width_ + down[d], 0, height_ - 1);
    const std::int32_t column = std::clamp(state % width_ + right[d], 0, width_ - 1);
    const std::int32_t next = row * width_ + column;
    const char there = letter(next);
    return {probability, next, there == 'G' ? 1.0 : 0.0, there == 'G' || there == 'H'};
  }

  void check_map() const {
    bool start = false;
    for (const std::string& line : map_) {
      if (line.size() != map_[0].size() || line.find_first_not_of("SFHG") != std::string::npos) {
        fail("environment frozen_lake: '", line,
             "' in rows: all rows need the length of the first (", map_[0].size(),
             ") and no letters but S (start), F (frozen), H (hole), G (goal)");
      }
      start = start || line.find('S') != std::string::npos;
    }
    if (!start) fail("environment frozen_lake: rows have no S, where episodes start");
  }

  Options with_;
  std::vector<std::string> map_;
  std::int32_t height_ = 0, width_ = 0;
};

LATHE_PLUGIN(Environment, FrozenLake, "frozen_lake", "1.0.0")
}  // namespace lathe
