// The types that cross the border of a plugin by value: host and plugin must agree on their layout.
#pragma once

#include <lathe/config/config.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct Layout {
  std::uint32_t size = 0;
  std::uint32_t alignment = 0;

  bool operator==(const Layout& other) const = default;
};

template <class... Types>
constexpr std::array<Layout, sizeof...(Types)> layouts_of() {
  return {Layout{sizeof(Types), alignof(Types)}...};
}

inline constexpr auto core_layouts =
    layouts_of<void*, std::string, std::string_view, std::vector<int>, std::vector<bool>,
               std::function<void()>, std::shared_ptr<int>, std::optional<int>, Config>();
inline constexpr const char* core_names[] = {
    "void*",         "std::string",     "std::string_view", "std::vector",  "std::vector<bool>",
    "std::function", "std::shared_ptr", "std::optional",    "lathe::Config"};
static_assert(core_layouts.size() == std::size(core_names));

}  // namespace lathe
