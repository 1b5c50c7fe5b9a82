#include <lathe/config/keys.h>
#include <lathe/config/nearest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace lathe {
namespace {
std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += text.empty() ? part : cat(", ", part);
  return text;
}

// The double whose shortest text is that of the float: 0.1f gives 0.1, not 0.10000000149.
double widened(float value) {
  if (!std::isfinite(value)) return static_cast<double>(value);
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  double result = 0.0;
  std::from_chars(text, end, result);
  return result;
}

std::string text_of(const Check& check) {
  switch (check.kind) {
    case Check::Kind::at_least:
      return cat("at least ", check.bound);
    case Check::Kind::at_most:
      return cat("at most ", check.bound);
    case Check::Kind::above:
      return cat("above ", check.bound);
    case Check::Kind::below:
      return cat("below ", check.bound);
    case Check::Kind::one_of:
      return cat("one of: ", joined(check.choices));
    case Check::Kind::not_empty:
      return "not empty";
    case Check::Kind::runtime:
      break;
  }
  return "";
}

bool holds(const Check& check, const Config& value);

bool holds_for_each(const Check& check, const Config& list) {
  const std::vector<Config>& items = list.items();
  return std::all_of(items.begin(), items.end(),
                     [&](const Config& item) { return holds(check, item); });
}

bool holds(const Check& check, const Config& value) {
  if (check.kind == Check::Kind::not_empty) {
    return value.is_list() ? !value.items().empty() : value.to_text() != "\"\"";
  }
  if (check.kind == Check::Kind::runtime) return true;
  if (value.is_list()) return holds_for_each(check, value);
  const bool text = value.type() == Config::Type::text;
  if (check.kind == Check::Kind::one_of) {
    const std::string found = text ? value.as<std::string>() : value.to_text();
    return std::find(check.choices.begin(), check.choices.end(), found) != check.choices.end();
  }
  if (text) return true;
  const double number = value.as<double>();
  switch (check.kind) {
    case Check::Kind::at_least:
      return number >= check.bound;
    case Check::Kind::at_most:
      return number <= check.bound;
    case Check::Kind::above:
      return number > check.bound;
    default:
      return number < check.bound;
  }
}

OptionType item_type(OptionType list) {
  if (list == OptionType::integers) return OptionType::int64;
  return list == OptionType::numbers ? OptionType::float64 : OptionType::text;
}

bool is_list(OptionType type) {
  return type == OptionType::integers || type == OptionType::numbers || type == OptionType::texts;
}

bool has_type(const Config& value, OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return value.type() == Config::Type::boolean;
    case OptionType::int32:
    case OptionType::int64:
      return value.type() == Config::Type::integer;
    case OptionType::float32:
    case OptionType::float64:
      return value.type() == Config::Type::number || value.type() == Config::Type::integer;
    case OptionType::text:
      return value.type() == Config::Type::text;
    case OptionType::table:
      return value.is_table();
    default:
      return value.is_list() &&
             std::all_of(value.items().begin(), value.items().end(),
                         [&](const Config& item) { return has_type(item, item_type(type)); });
  }
}

bool fits(const Config& value, OptionType type) {
  if (type == OptionType::int32) {
    const std::int64_t number = value.as<std::int64_t>();
    return number >= std::numeric_limits<int>::min() && number <= std::numeric_limits<int>::max();
  }
  if (type == OptionType::float32) {
    const double number = std::abs(value.as<double>());
    return !std::isfinite(number) || number <= std::numeric_limits<float>::max();
  }
  return true;
}

// Numbers that are infinite or none come from a slip, but where the default is such a one.
bool finite(const Config& value) {
  if (value.is_list()) return std::all_of(value.items().begin(), value.items().end(), finite);
  return value.type() != Config::Type::number || std::isfinite(value.as<double>());
}

// The value in the type of its option, so that 1 and 1.0 are the same number, and a float has the
// digits that it can hold.
Config normalised(const Config& value, OptionType type) {
  const Origin& origin = value.origin();
  if (type == OptionType::float64) {
    return Config::number(value.as<double>(), origin).rooted(value.path());
  }
  if (type == OptionType::float32) {
    return Config::number(widened(value.as<float>()), origin).rooted(value.path());
  }
  if (type != OptionType::numbers) return value;
  std::vector<Config> items;
  for (const Config& item : value.items()) items.push_back(normalised(item, OptionType::float64));
  return Config::list(std::move(items), origin).rooted(value.path());
}
}  // namespace

std::string_view name_of(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::int32:
    case OptionType::int64:
      return "an integer";
    case OptionType::float32:
    case OptionType::float64:
      return "a number";
    case OptionType::text:
      return "a string";
    case OptionType::integers:
      return "a list of integers";
    case OptionType::numbers:
      return "a list of numbers";
    case OptionType::texts:
      return "a list of strings";
    case OptionType::table:
      return "a table";
  }
  return "";
}

std::vector<Check> between(double low, double high) { return {at_least(low), at_most(high)}; }

Check one_of(std::initializer_list<std::string_view> choices) {
  return {Check::Kind::one_of, 0.0, {choices.begin(), choices.end()}};
}

Check one_of(std::initializer_list<int> choices) {
  Check check{Check::Kind::one_of};
  for (const int choice : choices) check.choices.push_back(cat(choice));
  return check;
}

std::string Option::default_text() const { return required ? "" : fallback.to_text(); }

std::string Option::allowed_text() const {
  std::vector<std::string> parts;
  for (const Check& check : checks) parts.push_back(text_of(check));
  return joined(parts);
}

const Option* Schema::find(std::string_view name) const {
  for (const Option& option : options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  for (const Option& option : options) names.push_back(option.name);
  return names;
}

std::string fault_of(const Config& value, const Option& option, std::string_view name) {
  const auto found = [&] { return cat(value.where(), ": ", name); };
  if (!has_type(value, option.type)) {
    return cat(found(), " must be ", name_of(option.type), ", found ", described_value(value), ".");
  }
  if (!is_list(option.type) && !fits(value, option.type)) {
    const bool integer = option.type == OptionType::int32;
    return cat(found(), " is ", value.to_text(), ", too large for ",
               integer ? "an integer of 32 bits." : "a float of 32 bits.");
  }
  if (option.type != OptionType::table && !finite(value) && finite(option.fallback)) {
    return cat(found(), " is ", value.to_text(), ", expected a finite number.");
  }
  for (const Check& check : option.checks) {
    if (holds(check, value)) continue;
    std::string text =
        cat(found(), " is ", value.to_text(), ", allowed: ", option.allowed_text(), ".");
    if (check.kind == Check::Kind::one_of && option.type == OptionType::text) {
      text += suggestion(value.as<std::string>(), check.choices);
    }
    return text;
  }
  return "";
}

std::vector<std::string> check(const Config& table, const Schema& schema, std::string_view what) {
  std::vector<std::string> faults;
  for (const Config::Member& member : table.members()) {
    if (member.key == "use") continue;
    const Option* option = schema.find(member.key);
    if (option) {
      std::string fault = fault_of(member.value, *option, cat("'", option->name, "' of ", what));
      if (!fault.empty()) faults.push_back(std::move(fault));
      continue;
    }
    const std::vector<std::string> names = schema.names();
    faults.push_back(cat(member.value.where(), ": unknown key '", member.key, "' of ", what, ".",
                         suggestion(member.key, names),
                         names.empty() ? " It has no keys." : cat(" Valid: ", joined(names), ".")));
  }
  for (const Option& option : schema.options) {
    if (!option.required || table.has(join_path("", option.name))) continue;
    faults.push_back(cat(table.where(), ": ", what, " needs the key '", option.name, "' (",
                         name_of(option.type), "): ", option.meaning, "."));
  }
  return faults;
}

void demand(const Config& table, const Schema& schema, std::string_view what) {
  std::string text;
  for (const std::string& fault : check(table, schema, what)) {
    text += text.empty() ? fault : cat("\n", fault);
  }
  if (!text.empty()) throw Error(text);
}

Config with_defaults(const Config& table, const Schema& schema) {
  Config full = table;
  for (const Option& option : schema.options) {
    const std::string key = join_path("", option.name);
    const std::optional<Config> value = table.find(key);
    if (value) {
      full = full.with(key, normalised(*value, option.type));
    } else if (!option.required && option.type != OptionType::table) {
      full = full.with(key, option.fallback);
    }
  }
  return full;
}

Config identity_of(const Config& table, const Schema& schema) {
  Config identity = table;
  for (const Option& option : schema.options) {
    const std::string key = join_path("", option.name);
    const std::optional<Config> value = table.find(key);
    if (!value) continue;
    const Config normal = normalised(*value, option.type);
    const bool default_value = !option.required && normal == option.fallback;
    identity = default_value || !option.affects_result ? identity.without(key)
                                                       : identity.with(key, normal);
  }
  return identity;
}

std::optional<Config> Keys::read(const Option& option) const {
  if (Schema* schema = config_.described()) {
    const std::string fault = option.required ? "" : fault_of(option.fallback, option, option.name);
    if (!fault.empty()) fail("a declared default breaks its own rule: ", fault);
    schema->options.push_back(option);
    return std::nullopt;
  }
  const std::string key = join_path("", option.name);
  std::optional<Config> value = config_.find(key);
  if (!value && option.required) {
    fail(config_.where(), ": the key '", join_path(config_.path(), option.name), "' (",
         name_of(option.type), ") is missing: ", option.meaning, ".");
  }
  if (value) {
    const std::string fault =
        fault_of(*value, option, cat("'", join_path(config_.path(), option.name), "'"));
    if (!fault.empty()) throw Error(fault);
  }
  return value;
}

Config Keys::table(std::string_view name, std::string_view meaning) const {
  Option option;
  option.name = name;
  option.type = OptionType::table;
  option.meaning = meaning;
  return read(option).value_or(Config());
}

namespace detail {
namespace {
template <class Values, class Make>
Config list_of(const Values& values, Make make) {
  std::vector<Config> items;
  for (const auto& value : values) items.push_back(make(value, Origin()));
  return Config::list(std::move(items));
}
}  // namespace

Config default_value(bool value) { return Config::boolean(value); }
Config default_value(int value) { return Config::integer(value); }
Config default_value(std::int64_t value) { return Config::integer(value); }
Config default_value(float value) { return Config::number(widened(value)); }
Config default_value(double value) { return Config::number(value); }
Config default_value(const std::string& value) { return Config::text(value); }
Config default_value(const std::vector<std::int64_t>& value) {
  return list_of(value, Config::integer);
}
Config default_value(const std::vector<double>& value) { return list_of(value, Config::number); }
Config default_value(const std::vector<std::string>& value) { return list_of(value, Config::text); }

void add_check(Option& option, const Check& check) { option.checks.push_back(check); }

void add_check(Option& option, Check::Kind remark) {
  if (remark == Check::Kind::runtime) {
    option.affects_result = false;
  } else {
    option.checks.push_back({remark});
  }
}

void add_check(Option& option, const std::vector<Check>& checks) {
  option.checks.insert(option.checks.end(), checks.begin(), checks.end());
}
}  // namespace detail

}  // namespace lathe
