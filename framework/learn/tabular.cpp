#include <lathe/learn/tabular.h>

#include <algorithm>
#include <cmath>

namespace lathe {

void TabularEnvironment::shape(std::string name, std::int32_t states, std::int32_t actions,
                               std::int64_t limit) {
  name_ = std::move(name);
  states_ = states;
  actions_ = actions;
  limit_ = limit;
}

TabularEnvironment::Ways TabularEnvironment::checked(std::vector<Transition> ways,
                                                     const std::string& where) const {
  Ways result;
  double sum = 0;
  for (const Transition& way : ways) {
    if (!(way.probability >= 0) || way.next < 0 || way.next >= states_) {
      fail("environment ", name_, ": ", where, " leads to state ", way.next, " with probability ",
           way.probability, "; there are ", states_, " states");
    }
    result.until.push_back(sum += way.probability);
  }
  if (!(std::abs(sum - 1) < 1e-9)) {
    fail("environment ", name_, ": the probabilities of ", where, " add up to ", sum, ", not to 1");
  }
  result.ways = std::move(ways);
  return result;
}

const Transition& TabularEnvironment::draw(const Ways& ways, double uniform) {
  const auto found = std::upper_bound(ways.until.begin(), ways.until.end(), uniform);
  // The sum may round to a little less than 1: then it is the last way that can happen at all.
  auto at = static_cast<std::size_t>(found - ways.until.begin());
  if (at == ways.ways.size()) --at;
  while (at > 0 && ways.ways[at].probability == 0) --at;
  return ways.ways[at];
}

void TabularEnvironment::open(const EnvironmentContext& context) {
  episodes_.open(context, name_, limit_);
  now_.assign(static_cast<std::size_t>(context.rows), 0);
  table_.clear();
  for (std::int32_t s = 0; s < states_; ++s) {
    for (std::int32_t a = 0; a < actions_; ++a) {
      table_.push_back(checked(transitions(s, a), cat("state ", s, " with action ", a)));
    }
  }
  first_ = checked(beginnings(), "the beginning");
}

void TabularEnvironment::reset(std::int64_t row, std::uint64_t episode, Observations& now) {
  episodes_.begin(row, episode);
  const auto r = static_cast<std::size_t>(row);
  now.states[r] = now_[r] = draw(first_, episodes_.uniform(row)).next;
}

void TabularEnvironment::step(const Actions& actions, Observations& now, Outcomes& outcomes) {
  for (std::size_t r = 0; r < now_.size(); ++r) {
    const std::int32_t action = actions.choices[r];
    if (action < 0) continue;
    const auto row = static_cast<std::int64_t>(r);
    if (action >= actions_) fail_on_action(name_, row, action, actions_);
    const bool last = episodes_.advance(row);
    const Ways& ways = table_[static_cast<std::size_t>(now_[r] * actions_ + action)];
    const bool certain = ways.ways.size() == 1;
    const Transition& way = certain ? ways.ways[0] : draw(ways, episodes_.uniform(row));
    now.states[r] = now_[r] = way.next;
    outcomes.rewards[r] = static_cast<float>(way.reward);
    outcomes.terminated[r] = way.terminated;
    outcomes.truncated[r] = last && !way.terminated;
  }
}

void TabularEnvironment::save(State& state) const {
  episodes_.save(state);
  state.put("states", now_);
}

void TabularEnvironment::load(const State& state) {
  episodes_.load(state);
  restore(state, "states", now_);
}

}  // namespace lathe
