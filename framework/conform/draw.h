// Options drawn, and chosen, from what a component declares.
#pragma once

#include <lathe/base/random.h>
#include <lathe/config/keys.h>

#include <string>
#include <vector>

namespace lathe::conform {

// One option with a value, and why that value: "'width' = 0, below its range".
struct Choice {
  Config options;
  std::string text;
};

// Each option at each end of its declared range (and each of its choices), the others as in `base`.
std::vector<Choice> options_at_bounds(const Schema& schema, const Config& base);

// What must be refused: values next to the range, of another type, that are no choice, unknown
// keys, and absent required ones.
std::vector<Choice> wrong_options(const Schema& schema, const Config& base);

// About half of the options inside their declared range, the others as in `base`. Text without
// choices, lists without a rule, and tables mean something (files, names) and stay; what `kept`
// holds stays as well.
Config drawn_options(const Schema& schema, const Config& base, const Config& kept,
                     const RandomStream& random);

}  // namespace lathe::conform
