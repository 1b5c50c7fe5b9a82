#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/config/toml.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>

namespace lathe {
namespace {
// How the places that toml++ reports become origins.
struct Source {
  std::string name;
  bool has_lines = true;

  Origin origin(const toml::source_region& region) const {
    if (!has_lines) return {name};
    return {name, static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
  }
};

Config converted(const toml::node& node, const Origin& origin, const Source& source);

// toml++ sorts keys by name; their places tell the written order.
Config converted_table(const toml::table& table, const Origin& origin, const Source& source) {
  std::vector<Config::Member> members;
  for (const auto& [key, value] : table) {
    members.push_back(
        {std::string(key.str()), converted(value, source.origin(key.source()), source)});
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const Config::Member& left, const Config::Member& right) {
                     const Origin& a = left.value.origin();
                     const Origin& b = right.value.origin();
                     return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                   });
  return Config::table(std::move(members), origin);
}

Config converted(const toml::node& node, const Origin& origin, const Source& source) {
  if (const auto* table = node.as_table()) return converted_table(*table, origin, source);
  if (const auto* array = node.as_array()) {
    std::vector<Config> items;
    for (const toml::node& item : *array) {
      items.push_back(converted(item, source.origin(item.source()), source));
    }
    return Config::list(std::move(items), origin);
  }
  if (const auto* text = node.as_string()) return Config::text(text->get(), origin);
  if (const auto* integer = node.as_integer()) return Config::integer(integer->get(), origin);
  if (const auto* boolean = node.as_boolean()) return Config::boolean(boolean->get(), origin);
  if (const auto* number = node.as_floating_point()) {
    if (std::isnan(number->get())) fail(origin.where(), ": nan is not a value for any key");
    return Config::number(number->get(), origin);
  }
  fail(origin.where(), ": dates and times are not used here; write a string in quotes");
}

// The line of `text`, and a caret under the column.
std::string marked_line(std::string_view text, int line, int column) {
  std::size_t begin = 0;
  for (int i = 1; i < line; ++i) begin = text.find('\n', begin) + 1;
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  std::string_view shown = text.substr(begin, end - begin);
  if (shown.ends_with('\r')) shown.remove_suffix(1);
  return cat("  ", shown, "\n  ",
             std::string(static_cast<std::size_t>(std::max(column - 1, 0)), ' '), "^");
}
}  // namespace

Config parse_toml(std::string_view text, const std::string& name) {
  const Source source{name};
  try {
    return converted_table(toml::parse(text), {name, 1, 1}, source).rooted("");
  } catch (const toml::parse_error& error) {
    const Origin origin = source.origin(error.source());
    fail(origin.where(), ": broken TOML: ", error.description(), "\n",
         marked_line(text, origin.line, origin.column));
  }
}

Config read_toml(const std::filesystem::path& file) {
  return parse_toml(read_file(file), file.generic_string());
}

Config parse_value(std::string_view text, const Origin& origin) {
  const bool must_parse = text.find_first_of("\"'[{") == 0;
  try {
    const toml::table table = toml::parse(cat("value = ", text));
    const toml::node* value = table.get("value");
    const bool date = value->is_date() || value->is_time() || value->is_date_time();
    if (table.size() == 1 && !date) return converted(*value, origin, {origin.file, false});
  } catch (const toml::parse_error& error) {
    if (must_parse) fail(origin.where(), ": cannot read ", text, ": ", error.description());
  }
  return Config::text(std::string(text), origin);
}

}  // namespace lathe
