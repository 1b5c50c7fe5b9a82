// Whether the components of an experiment fit each other, by the words that they need and provide.
// Nothing here knows what a word means: "environment", "f64 precision", "causal attention".
#pragma once

#include <lathe/plugin/registry.h>

#include <span>
#include <string>
#include <vector>

namespace lathe {

// A word that must be provided, by whom it is needed and where that was written.
struct Need {
  std::string word;
  std::string owner;  // "objective 'ppo'", "[train] precision = \"f64\""
  std::string where;  // "exp.toml:12:3"
};

// One message for each need that none of the components in use provides. Each names those
// that would provide it, as far as they are known without a probe.
std::vector<std::string> misfits(std::span<const Need> needs,
                                 std::span<const Description* const> in_use, Registry& registry);

}  // namespace lathe
