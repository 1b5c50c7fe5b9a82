#include <lathe/base/error.h>
#include <lathe/base/state.h>

namespace lathe {

void State::put_bytes(const std::string& name, StateType type, std::span<const std::byte> bytes) {
  const auto [place, fresh] = items_.try_emplace(name, Item{type, {bytes.begin(), bytes.end()}});
  if (!fresh) fail("the state has two values of the name '", name, "'");
}

const State::Item& State::item(const std::string& name, StateType type) const {
  const auto found = items_.find(name);
  if (found == items_.end()) {
    fail("the saved state has no '", name,
         "': it was written by another version of this component");
  }
  if (found->second.type != type) fail("the saved state holds '", name, "' in another type");
  return found->second;
}

namespace {
template <class T>
T only(const std::vector<T>& values, const std::string& name) {
  if (values.size() != 1) {
    fail("the saved state holds ", values.size(), " values of '", name, "' instead of one");
  }
  return values.front();
}
}  // namespace

std::int64_t State::integer(const std::string& name) const {
  return only(get<std::int64_t>(name), name);
}

double State::number(const std::string& name) const { return only(get<double>(name), name); }

void State::put(const std::string& part, const State& state) {
  for (const auto& [name, item] : state.items()) {
    put_bytes(part + "/" + name, item.type, item.bytes);
  }
}

State State::part(const std::string& name) const {
  const std::string prefix = name + "/";
  State result;
  for (auto at = items_.lower_bound(prefix);
       at != items_.end() && at->first.compare(0, prefix.size(), prefix) == 0; ++at) {
    result.put_bytes(at->first.substr(prefix.size()), at->second.type, at->second.bytes);
  }
  return result;
}

}  // namespace lathe
