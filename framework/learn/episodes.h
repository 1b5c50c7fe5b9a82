// What environments share: which episode each row is in, how old it is, and its random numbers.
#pragma once

#include <lathe/base/error.h>
#include <lathe/learn/environment.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

class Episodes {
 public:
  // `name` of the environment keys its random numbers, together with the split: the episodes of
  // validation are others than those of training. `limit` steps make an episode; 0: no limit.
  void open(const EnvironmentContext& context, std::string_view name, std::int64_t limit);

  std::int64_t rows() const { return static_cast<std::int64_t>(steps_.size()); }
  void begin(std::int64_t row, std::uint64_t episode) {
    episodes_[static_cast<std::size_t>(row)] = static_cast<std::int64_t>(episode);
    steps_[static_cast<std::size_t>(row)] = 0;
  }
  // Counts a step; true when it is the last that the limit allows.
  bool advance(std::int64_t row) { return ++steps_[static_cast<std::size_t>(row)] == limit_; }
  std::int64_t steps(std::int64_t row) const { return steps_[static_cast<std::size_t>(row)]; }

  // Number `index` (0 ... 63) of this step of the row's episode, in [0, 1). Step 0 is the reset.
  double uniform(std::int64_t row, std::uint64_t index = 0) const {
    const auto r = static_cast<std::size_t>(row);
    return random_.at(static_cast<std::uint64_t>(episodes_[r]))
        .uniform53(static_cast<std::uint64_t>(steps_[r]) * 64 + index);
  }

  void save(State& state) const;
  void load(const State& state);

 private:
  RandomStream random_;
  std::int64_t limit_ = 0;
  std::vector<std::int64_t> episodes_, steps_;
};

// The saved array goes back where it came from, which must be as long.
template <class T>
void restore(const State& state, const std::string& name, std::vector<T>& into) {
  std::vector<T> values = state.get<T>(name);
  if (values.size() != into.size()) {
    fail("the state of an environment holds ", values.size(), " numbers as '", name, "' where ",
         into.size(), " are expected: it was saved with another number of rows or other options");
  }
  into = std::move(values);
}

[[noreturn]] void fail_on_action(std::string_view environment, std::int64_t row,
                                 std::int32_t action, std::int64_t count);

}  // namespace lathe
