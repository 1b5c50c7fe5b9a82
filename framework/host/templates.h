// The files that `lathe new` begins with: framework/host/templates/, kept inside the program.
#pragma once

#include <span>
#include <string_view>

namespace lathe {

struct Template {
  std::string_view file;  // "reward.cpp"
  std::string_view text;  // with @name@ and @Name@ where the plugin's name goes
};
std::span<const Template> templates();

}  // namespace lathe
