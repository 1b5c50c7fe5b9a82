#include <lathe/conform/draw.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace lathe::conform {
namespace {
using Kind = Check::Kind;

bool is_integer(const Option& option) {
  return option.type == OptionType::int32 || option.type == OptionType::int64;
}
bool is_number(const Option& option) {
  return option.type == OptionType::float32 || option.type == OptionType::float64;
}

const Check* check_of(const Option& option, Kind kind) {
  for (const Check& check : option.checks) {
    if (check.kind == kind) return &check;
  }
  return nullptr;
}

const Check* choices_of(const Option& option) { return check_of(option, Kind::one_of); }

// A number so close to a bound that only the bound can be meant.
double beside(double bound) { return 1e-6 * std::max(1.0, std::abs(bound)); }

// The least and the largest value allowed; nothing where the declaration names none.
std::optional<double> lowest(const Option& option) {
  if (const Check* check = check_of(option, Kind::at_least)) return check->bound;
  const Check* check = check_of(option, Kind::above);
  if (check == nullptr) return std::nullopt;
  return check->bound + (is_integer(option) ? 1 : beside(check->bound));
}
std::optional<double> highest(const Option& option) {
  if (const Check* check = check_of(option, Kind::at_most)) return check->bound;
  const Check* check = check_of(option, Kind::below);
  if (check == nullptr) return std::nullopt;
  return check->bound - (is_integer(option) ? 1 : beside(check->bound));
}

Config value_of(const Option& option, double number) {
  return is_integer(option) ? Config::integer(static_cast<std::int64_t>(number))
                            : Config::number(number);
}

Config choice_of(const Option& option, const std::string& choice) {
  return is_integer(option) ? Config::integer(std::stoll(choice)) : Config::text(choice);
}

class Choices {
 public:
  explicit Choices(const Config& base) : base_(base) {}
  void add(const Option& option, const Config& value, std::string_view why) {
    all.push_back({base_.with(join_path("", option.name), value),
                   cat("'", option.name, "' = ", value.to_text(), ", ", why)});
  }

  std::vector<Choice> all;

 private:
  const Config& base_;
};

Config of_another_type(const Option& option) {
  switch (option.type) {
    case OptionType::text:
      return Config::integer(1);
    case OptionType::boolean:
      return Config::integer(1);
    case OptionType::int32:
    case OptionType::int64:
      return Config::number(0.5);
    default:
      return Config::text("text");
  }
}

void add_outside(Choices& choices, const Option& option) {
  const double step = is_integer(option) ? 1 : beside(0);
  if (const auto low = lowest(option)) {
    choices.add(option, value_of(option, *low - std::max(step, beside(*low) * 2)),
                "below its range");
  }
  if (const auto high = highest(option)) {
    choices.add(option, value_of(option, *high + std::max(step, beside(*high) * 2)),
                "above its range");
  }
  if (option.type == OptionType::int32) {
    choices.add(option, Config::integer(std::int64_t{1} << 40), "beyond 32 bits");
  }
  if (choices_of(option) != nullptr && option.type == OptionType::text) {
    choices.add(option, Config::text("no such choice"), "none of its choices");
  }
}

// A whole or real number near `base` inside the range: the ends and small values are as likely as
// the middle.
Config drawn_number(const Option& option, double base, const RandomStream& random) {
  const double reach = std::max(std::abs(base), 1.0);
  const double low = lowest(option).value_or(base - 2 * reach);
  const double high = highest(option).value_or(std::max(low + 4, base + 2 * reach));
  const double share = random.uniform53(1);
  switch (random.below(4, 2)) {
    case 0:
      return value_of(option, low);
    case 1:
      // Ranges may be wide (up to a billion): the upper end only where it is near the usual.
      return value_of(option, std::min(high, std::max(low, base + 2 * reach)));
    default: {
      const double top = std::min(high, std::max(low + 4, base + 2 * reach));
      const double value = low + share * (top - low);
      return value_of(option, is_integer(option) ? std::floor(value) : value);
    }
  }
}

std::optional<Config> drawn(const Option& option, const Config& base, const RandomStream& random) {
  if (const Check* choices = choices_of(option)) {
    return choice_of(option, choices->choices[random.below(choices->choices.size(), 0)]);
  }
  if (option.type == OptionType::boolean) return Config::boolean(random.below(2, 0) == 1);
  if (!is_integer(option) && !is_number(option)) return std::nullopt;
  const auto usual = base.find(join_path("", option.name));
  const double number = usual             ? usual->as<double>()
                        : option.required ? lowest(option).value_or(1)
                                          : option.fallback.as<double>();
  return drawn_number(option, std::isfinite(number) ? number : 1, random);
}
}  // namespace

std::vector<Choice> options_at_bounds(const Schema& schema, const Config& base) {
  Choices choices(base);
  for (const Option& option : schema.options) {
    if (const Check* all = choices_of(option)) {
      for (const std::string& choice : all->choices) {
        choices.add(option, choice_of(option, choice), "one of its choices");
      }
    } else if (option.type == OptionType::boolean) {
      for (const bool value : {false, true}) choices.add(option, Config::boolean(value), "");
    } else if (is_integer(option) || is_number(option)) {
      if (const auto low = lowest(option)) {
        choices.add(option, value_of(option, *low), "the least allowed");
      }
      if (const auto high = highest(option)) {
        choices.add(option, value_of(option, *high), "the most allowed");
      }
    }
  }
  return choices.all;
}

std::vector<Choice> wrong_options(const Schema& schema, const Config& base) {
  Choices choices(base);
  for (const Option& option : schema.options) {
    choices.add(option, of_another_type(option), "of another type");
    if (is_integer(option) || is_number(option) || option.type == OptionType::text) {
      add_outside(choices, option);
    }
    if (option.required) {
      choices.all.push_back({base.without(join_path("", option.name)),
                             cat("without the required '", option.name, "'")});
    }
  }
  const std::string unknown = schema.options.empty() ? "budget" : schema.options[0].name + "_";
  choices.all.push_back(
      {base.with(unknown, Config::integer(1)), cat("the unknown key '", unknown, "'")});
  return choices.all;
}

Config drawn_options(const Schema& schema, const Config& base, const Config& kept,
                     const RandomStream& random) {
  Config options = base;
  for (std::size_t i = 0; i < schema.options.size(); ++i) {
    const Option& option = schema.options[i];
    const RandomStream own = random.at(i);
    const std::string key = join_path("", option.name);
    if (kept.has(key) || own.below(2, 3) == 0) continue;
    if (const auto value = drawn(option, base, own)) options = options.with(key, *value);
  }
  return options;
}

}  // namespace lathe::conform
