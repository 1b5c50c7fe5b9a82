#include <lathe/base/error.h>
#include <lathe/learn/environment.h>

namespace lathe {

Environment::~Environment() = default;
void Environment::settle(Batch&) {}
std::vector<Transition> Environment::transitions(std::int32_t, std::int32_t) const { return {}; }
std::vector<Transition> Environment::beginnings() const { return {}; }
std::string Environment::render(std::int64_t) const { return {}; }
std::string Environment::action_name(std::int32_t action) const { return cat(action); }

Observations empty_observations(const Space& space, std::int64_t rows) {
  Observations now;
  const auto count = static_cast<std::size_t>(rows);
  switch (space.kind) {
    case Space::Kind::box:
      now.numbers.resize(count * static_cast<std::size_t>(space.size));
      break;
    case Space::Kind::discrete:
      now.states.resize(count);
      break;
    case Space::Kind::tokens:
      now.tokens.resize(count);
      break;
    case Space::Kind::none:
      fail("an environment says nothing of what it shows: observations() has no kind");
  }
  return now;
}

Outcomes empty_outcomes(std::int64_t rows) {
  const auto count = static_cast<std::size_t>(rows);
  Outcomes outcomes;
  outcomes.rewards.resize(count);
  outcomes.terminated.resize(count);
  outcomes.truncated.resize(count);
  return outcomes;
}

}  // namespace lathe
