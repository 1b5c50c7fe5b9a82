// The one line that makes a class a plugin:
//
//   LATHE_PLUGIN(Reward, Brevity, "brevity", "1.0.0")
//
// in namespace lathe, as often in a file as it has plugins. The kind (here Reward) declares
//   static constexpr const char* kind = "reward";
//   static constexpr int interface_version = 1;
// and a virtual destructor. The type is made from a Config (or from nothing); its options, when it
// declares `struct Options : Keys`, and its `static constexpr const char* manual` become visible.
//
// What a type cannot do without, and what it offers to others, are words that the host compares and
// does not understand; a component always provides the word of its kind:
//   static constexpr const char* needs[] = {"environment"};
//   static constexpr const char* provides[] = {"cached decoding"};
#pragma once

#include <lathe/config/keys.h>
#include <lathe/plugin/stamp.h>

#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

namespace lathe {

// What the host learns from a loaded plugin. Only constants: loading runs no code of the plugin.
// The alignment keeps the compiler from padding between descriptors, which the host walks as an
// array.
struct alignas(64) Descriptor {
  const Stamp* stamp;
  const char* manual;                // "" when the type declares none
  void (*describe)(Schema& schema);  // nullptr when the type declares no Options
  void* (*create)(const Config& config);
  void (*destroy)(void* made);  // what `create` gave
  std::span<const char* const> needs;
  std::span<const char* const> provides;

  std::string_view kind() const { return stamp->kind.view(); }
  std::string_view name() const { return stamp->name.view(); }
  std::string_view version() const { return stamp->version.view(); }
};

namespace detail {
template <class Type>
constexpr const char* manual_of() {
  if constexpr (requires { Type::manual; }) {
    return Type::manual;
  } else {
    return "";
  }
}

template <class Type>
constexpr std::span<const char* const> needs_of() {
  if constexpr (requires { Type::needs; }) {
    return Type::needs;
  } else {
    return {};
  }
}

template <class Type>
constexpr std::span<const char* const> provides_of() {
  if constexpr (requires { Type::provides; }) {
    return Type::provides;
  } else {
    return {};
  }
}

template <class Type>
void describe(Schema& schema) {
  schema = schema_of<typename Type::Options>();
}

template <class Type>
constexpr auto describe_of() -> void (*)(Schema&) {
  if constexpr (requires { typename Type::Options; }) {
    return &describe<Type>;
  } else {
    return nullptr;
  }
}

// The pointer to the kind, as void: what the host may cast back.
template <class Kind, class Type>
void* create(const Config& config) {
  static_assert(std::derived_from<Type, Kind> && std::has_virtual_destructor_v<Kind>);
  if constexpr (std::constructible_from<Type, const Config&>) {
    return static_cast<Kind*>(new Type(config));
  } else {
    return static_cast<Kind*>(new Type());
  }
}

template <class Kind>
void destroy(void* made) {
  delete static_cast<Kind*>(made);
}
}  // namespace detail

template <class Kind, class Type>
constexpr Descriptor descriptor_of(const Stamp& stamp) {
  return {&stamp,
          detail::manual_of<Type>(),
          detail::describe_of<Type>(),
          &detail::create<Kind, Type>,
          &detail::destroy<Kind>,
          detail::needs_of<Type>(),
          detail::provides_of<Type>()};
}

}  // namespace lathe

// The bounds of the section of descriptors, made by the linker; null where there is none.
extern "C" {
extern const lathe::Descriptor __start_lathe_plugins[] __attribute__((weak, visibility("hidden")));
extern const lathe::Descriptor __stop_lathe_plugins[] __attribute__((weak, visibility("hidden")));
}

// The one exported symbol of a plugin. Inline, so that a plugin of many files has it once; `used`
// makes the compiler write it out though nothing calls it.
extern "C" inline __attribute__((used, visibility("default"))) const lathe::Descriptor*
lathe_plugin_descriptors(const lathe::Descriptor** end) {
  *end = __stop_lathe_plugins;
  return __start_lathe_plugins;
}

// `retain` keeps sections that nothing refers to through the linker's --gc-sections.
#define LATHE_PLUGIN(Kind, Type, plugin_name, plugin_version) \
  LATHE_PLUGIN_NUMBERED(Kind, Type, plugin_name, plugin_version, __COUNTER__)
#define LATHE_PLUGIN_NUMBERED(Kind, Type, plugin_name, plugin_version, number) \
  LATHE_PLUGIN_PARTS(Kind, Type, plugin_name, plugin_version, number)
#define LATHE_PLUGIN_PARTS(Kind, Type, plugin_name, plugin_version, number)                      \
  namespace {                                                                                    \
  __attribute__((used, retain,                                                                   \
                 section(".lathe.stamp"))) constinit const ::lathe::Stamp lathe_stamp_##number = \
      ::lathe::make_stamp(Kind::kind, Kind::interface_version, plugin_name, plugin_version);     \
  __attribute__((                                                                                \
      used, retain,                                                                              \
      section("lathe_plugins"))) constinit const ::lathe::Descriptor lathe_descriptor_##number = \
      ::lathe::descriptor_of<Kind, Type>(lathe_stamp_##number);                                  \
  }
