// Options of a component, declared once: name, type, default, range and meaning stand in one line,
// from which reading, checking and the manual all follow.
//
//   struct Options : Keys {
//     int budget = key("budget", 64, "tokens that cost nothing", at_least(0));
//     std::string norm = key("norm", "layer", "kind of normalisation", one_of({"layer", "rms"}));
//     std::string file = required<std::string>("file", "rows to read");
//   };
//   explicit Brevity(const Config& config) : with_(config) {}   // Options with_;
#pragma once

#include <lathe/base/error.h>
#include <lathe/config/config.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lathe {

enum class OptionType {
  boolean,
  int32,
  int64,
  float32,
  float64,
  text,
  integers,  // std::vector<std::int64_t>
  numbers,   // std::vector<double>
  texts,     // std::vector<std::string>
  table      // Config, read further by its owner
};
std::string_view name_of(OptionType type);  // as people read it: "integer", "list of strings"

// A condition on the value of an option, or a remark about it. On a list it holds for each item,
// except not_empty.
struct Check {
  enum class Kind { at_least, at_most, above, below, one_of, not_empty, runtime };
  Kind kind;
  double bound = 0.0;
  std::vector<std::string> choices = {};
};

inline Check at_least(double bound) { return {Check::Kind::at_least, bound}; }
inline Check at_most(double bound) { return {Check::Kind::at_most, bound}; }
inline Check above(double bound) { return {Check::Kind::above, bound}; }
inline Check below(double bound) { return {Check::Kind::below, bound}; }
std::vector<Check> between(double low, double high);  // both ends belong to it
Check one_of(std::initializer_list<std::string_view> choices);
Check one_of(std::initializer_list<int> choices);
inline constexpr Check::Kind not_empty = Check::Kind::not_empty;
// The option changes speed or output, never results: it takes no part in a run's identity.
inline constexpr Check::Kind affects_runtime = Check::Kind::runtime;

struct Option {
  std::string name;
  OptionType type = OptionType::boolean;
  Config fallback = {};  // the default; an empty table when required
  std::string meaning = {};
  bool required = false;
  bool affects_result = true;
  std::vector<Check> checks = {};

  std::string default_text() const;  // as TOML; "" when required
  std::string allowed_text() const;  // "at least 0, at most 1", "one of: layer, rms"; "" when free
};

struct Schema {
  std::vector<Option> options;

  const Option* find(std::string_view name) const;
  std::vector<std::string> names() const;
};

// Each fault of `table` against `schema`, as full messages with their places: unknown keys (with
// the nearest known one), wrong types, values out of range, missing required keys. `what` names the
// owner: "objective 'ppo'". The key `use` belongs to every slot and is always valid.
std::vector<std::string> check(const Config& table, const Schema& schema, std::string_view what);
// Throws Error with all of them, one a line.
void demand(const Config& table, const Schema& schema, std::string_view what);
// The fault of one value, or "". `name` is how the message calls it: "'clip' of objective 'ppo'".
std::string fault_of(const Config& value, const Option& option, std::string_view name);

// The table with every default written out, values in the type of their option.
Config with_defaults(const Config& table, const Schema& schema);
// What decides results: the table without defaults and without options that affect runtime alone.
Config identity_of(const Config& table, const Schema& schema);

namespace detail {
template <class T>
struct OptionTypeOf;
template <OptionType type>
using Is = std::integral_constant<OptionType, type>;
template <>
struct OptionTypeOf<bool> : Is<OptionType::boolean> {};
template <>
struct OptionTypeOf<int> : Is<OptionType::int32> {};
template <>
struct OptionTypeOf<std::int64_t> : Is<OptionType::int64> {};
template <>
struct OptionTypeOf<float> : Is<OptionType::float32> {};
template <>
struct OptionTypeOf<double> : Is<OptionType::float64> {};
template <>
struct OptionTypeOf<std::string> : Is<OptionType::text> {};
template <>
struct OptionTypeOf<std::vector<std::int64_t>> : Is<OptionType::integers> {};
template <>
struct OptionTypeOf<std::vector<double>> : Is<OptionType::numbers> {};
template <>
struct OptionTypeOf<std::vector<std::string>> : Is<OptionType::texts> {};

Config default_value(bool value);
Config default_value(int value);
Config default_value(std::int64_t value);
Config default_value(float value);
Config default_value(double value);
Config default_value(const std::string& value);
Config default_value(const std::vector<std::int64_t>& value);
Config default_value(const std::vector<double>& value);
Config default_value(const std::vector<std::string>& value);
void add_check(Option& option, const Check& check);
void add_check(Option& option, Check::Kind remark);
void add_check(Option& option, const std::vector<Check>& checks);

// What a braced default is kept as: {"a"} as strings, {1} as int64_t, {0.5} as double.
template <class Item>
using Kept = std::conditional_t<std::is_same_v<Item, const char*>, std::string,
                                std::conditional_t<std::is_integral_v<Item>, std::int64_t, double>>;
}  // namespace detail

template <class T>
concept OptionValue = requires {
  detail::OptionTypeOf<T>::value;
};

class Keys {
 public:
  Keys(const Config& config) : config_(config) {}  // implicit, so that Options(config) reads itself

  const Config& config() const { return config_; }

 protected:
  // The result of `key`: becomes the value once the type of the member is known.
  template <class Default>
  class Pending {
   public:
    Pending(const Keys& keys, Option option, Default fallback)
        : keys_(keys), option_(std::move(option)), fallback_(std::move(fallback)) {}

    template <OptionValue T>
    operator T() {
      static_assert(std::is_constructible_v<T, Default>, "the default is not of the member's type");
      static_assert(!std::is_floating_point_v<Default> || std::is_floating_point_v<T>,
                    "an integer option needs an integer default");
      static_assert(std::is_same_v<Default, bool> == std::is_same_v<T, bool>,
                    "only a bool option has a bool default");
      static_assert(!(std::is_same_v<Default, float> && std::is_same_v<T, double>),
                    "write the default of a double without f");
      const T fallback = static_cast<T>(fallback_);
      option_.type = detail::OptionTypeOf<T>::value;
      option_.fallback = detail::default_value(fallback);
      const std::optional<Config> value = keys_.read(option_);
      return value ? value->template as<T>() : fallback;
    }

   private:
    const Keys& keys_;
    Option option_;
    Default fallback_;
  };

  template <class Default, class... Checks>
  Pending<Default> key(std::string_view name, Default fallback, std::string_view meaning,
                       const Checks&... checks) const {
    return {*this, declared(name, meaning, checks...), std::move(fallback)};
  }
  // Of a list: key("rates", {0.1, 0.2}, "...").
  template <class Item, class... Checks>
  Pending<std::vector<detail::Kept<Item>>> key(std::string_view name,
                                               std::initializer_list<Item> fallback,
                                               std::string_view meaning,
                                               const Checks&... checks) const {
    return {*this, declared(name, meaning, checks...), {fallback.begin(), fallback.end()}};
  }

  template <OptionValue T, class... Checks>
  T required(std::string_view name, std::string_view meaning, const Checks&... checks) const {
    Option option = declared(name, meaning, checks...);
    option.type = detail::OptionTypeOf<T>::value;
    option.required = true;
    const std::optional<Config> value = read(option);
    return value ? value->template as<T>() : T{};
  }

  // A table of its own, empty when absent; who asked for it checks and reads its keys.
  Config table(std::string_view name, std::string_view meaning) const;

 private:
  template <class... Checks>
  static Option declared(std::string_view name, std::string_view meaning, const Checks&... checks) {
    Option option;
    option.name = name;
    option.meaning = meaning;
    (detail::add_check(option, checks), ...);
    return option;
  }
  // The checked value of the option; nothing where the default holds (absent, or describing).
  std::optional<Config> read(const Option& option) const;

  Config config_;
};

// The options of a component without a configuration at hand.
template <class Options>
Schema schema_of() {
  Schema schema;
  [[maybe_unused]] const Options options(Config::describing(schema));
  return schema;
}

}  // namespace lathe
