#include <lathe/learn/episodes.h>

namespace lathe {

void Episodes::open(const EnvironmentContext& context, std::string_view name, std::int64_t limit) {
  const std::string_view split = context.split == Split::train ? "" : "/validation";
  random_ = RandomStream(context.seed, cat("environment/", name, split));
  limit_ = limit;
  episodes_.assign(static_cast<std::size_t>(context.rows), 0);
  steps_.assign(static_cast<std::size_t>(context.rows), 0);
}

void Episodes::save(State& state) const {
  state.put("episodes", episodes_);
  state.put("steps", steps_);
}

void Episodes::load(const State& state) {
  restore(state, "episodes", episodes_);
  restore(state, "steps", steps_);
}

void fail_on_action(std::string_view environment, std::int64_t row, std::int32_t action,
                    std::int64_t count) {
  fail("environment ", environment, ": action ", action, " in row ", row, " where 0 ... ",
       count - 1, " exist (-1 lets a row rest)");
}

}  // namespace lathe
