// What a plugin says about itself and its build, in bytes that are read from the file before any of
// its code runs.
#pragma once

#include <lathe/plugin/core_types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

// Grows when the stamp or the descriptor changes.
#ifndef LATHE_STAMP_EPOCH
#define LATHE_STAMP_EPOCH 2
#endif

namespace lathe {

template <std::size_t size>
struct FixedText {
  char text[size] = {};  // ends in a zero

  constexpr FixedText() = default;
  constexpr FixedText(std::string_view value) {
    if (value.size() >= size) throw "a name, version or hash of a plugin is too long";
    for (std::size_t i = 0; i < value.size(); ++i) text[i] = value[i];
  }
  constexpr std::string_view view() const {
    std::size_t length = 0;
    while (length < size && text[length] != '\0') ++length;
    return {text, length};
  }
};

// Plain data without pointers. `magic`, `size` and `epoch` keep their places for ever, so that
// every host can tell why it refuses a stamp. The hash of the public headers is not in it but in a
// section of its own (.lathe.headers), which the build makes: else the edit of one header would
// compile every plugin again.
struct alignas(64) Stamp {
  FixedText<8> magic = {"LATHE#1"};
  std::uint32_t size = 0;
  std::uint32_t epoch = LATHE_STAMP_EPOCH;
  FixedText<32> kind = {};
  FixedText<64> name = {};
  FixedText<32> version = {};
  std::uint32_t interface_version = 0;     // of the kind
  std::uint32_t library = 0;               // LibraryFlags
  FixedText<64> compiler = {__VERSION__};  // recorded, not compared
  std::uint32_t layout_count = core_layouts.size();
  Layout layouts[24] = {};
};

enum LibraryFlags : std::uint32_t {
  libstdcxx = 1,
  new_string_abi = 2,  // _GLIBCXX_USE_CXX11_ABI
  debug_containers = 4,
  address_sanitizer = 8,
  thread_sanitizer = 16,
};

constexpr std::uint32_t library_flags() {
  std::uint32_t flags = 0;
#ifdef __GLIBCXX__
  flags |= libstdcxx;
#endif
#if defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
  flags |= new_string_abi;
#endif
#ifdef _GLIBCXX_DEBUG
  flags |= debug_containers;
#endif
#ifdef __SANITIZE_ADDRESS__
  flags |= address_sanitizer;
#endif
#ifdef __SANITIZE_THREAD__
  flags |= thread_sanitizer;
#endif
  return flags;
}

constexpr Stamp make_stamp(std::string_view kind, int interface_version, std::string_view name,
                           std::string_view version) {
  Stamp stamp;
  stamp.size = sizeof(Stamp);
  stamp.kind = kind;
  stamp.name = name;
  stamp.version = version;
  stamp.interface_version = static_cast<std::uint32_t>(interface_version);
  stamp.library = library_flags();
  static_assert(core_layouts.size() <= sizeof(Stamp::layouts) / sizeof(Layout));
  for (std::size_t i = 0; i < core_layouts.size(); ++i) stamp.layouts[i] = core_layouts[i];
  return stamp;
}

}  // namespace lathe
