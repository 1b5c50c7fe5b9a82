// The known name that a mistyped one most likely meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The candidate equal to `name` but for `-` and `_`; else the one with the least
// Damerau-Levenshtein distance (insert, delete, replace, swap of neighbours) of at most 2, or 1 for
// names of up to three letters; else "".
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

// " Did you mean 'clip_eps'?", or "" when nothing is near: to follow an error's first sentence.
std::string suggestion(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace lathe
