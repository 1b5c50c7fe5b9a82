#include <lathe/run/fit.h>

#include <algorithm>

namespace lathe {
namespace {
std::string remedy(const std::string& word, Registry& registry) {
  std::string list;
  for (const std::string& name : registry.providers(word))
    list += (list.empty() ? "" : ", ") + name;
  return list.empty() ? " No component is known that does: `lathe plugins` lists all"
                      : cat(" Components that do: ", list);
}
}  // namespace

std::vector<std::string> misfits(std::span<const Need> needs,
                                 std::span<const Description* const> in_use, Registry& registry) {
  std::vector<std::string> all;
  for (const Need& need : needs) {
    const bool met = std::any_of(in_use.begin(), in_use.end(), [&](const Description* component) {
      return component->offers(need.word);
    });
    if (met) continue;
    all.push_back(cat(need.where, ": ", need.owner, " needs \"", need.word,
                      "\", which nothing in this experiment provides.",
                      remedy(need.word, registry)));
  }
  return all;
}

}  // namespace lathe
