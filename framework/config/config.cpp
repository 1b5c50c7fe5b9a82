#include <lathe/base/error.h>
#include <lathe/config/config.h>
#include <lathe/config/node.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace lathe {

std::string Origin::where() const { return line > 0 ? cat(file, ":", line, ":", column) : file; }

namespace {
// The number that `part` writes, when it can count items of a list.
std::optional<std::size_t> as_index(std::string_view part) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size()) return std::nullopt;
  return index;
}

std::string shown_path(const std::string& path) {
  return path.empty() ? "the configuration" : cat("'", path, "'");
}
}  // namespace

Config::Config() : Config(table({})) {}

Config Config::made(Value value, Origin origin, std::string path) {
  auto node = std::make_shared<Node>();
  node->value = std::move(value);
  node->origin = std::move(origin);
  node->path = std::move(path);
  return Config(std::move(node));
}

Config Config::table(std::vector<Member> members, Origin origin) {
  return made({.type = Type::table, .members = std::move(members)}, std::move(origin));
}
Config Config::list(std::vector<Config> items, Origin origin) {
  return made({.type = Type::list, .items = std::move(items)}, std::move(origin));
}
Config Config::text(std::string value, Origin origin) {
  return made({.type = Type::text, .text = std::move(value)}, std::move(origin));
}
Config Config::integer(std::int64_t value, Origin origin) {
  return made({.type = Type::integer, .integer = value}, std::move(origin));
}
Config Config::number(double value, Origin origin) {
  return made({.type = Type::number, .number = value}, std::move(origin));
}
Config Config::boolean(bool value, Origin origin) {
  return made({.type = Type::boolean, .boolean = value}, std::move(origin));
}

Config Config::describing(Schema& schema) {
  auto node = std::make_shared<Node>();
  node->described = &schema;
  return Config(std::move(node));
}

Config::Type Config::type() const { return node_->value.type; }
const Origin& Config::origin() const { return node_->origin; }
const std::string& Config::path() const { return node_->path; }
Schema* Config::described() const { return node_->described; }

const std::vector<Config::Member>& Config::members() const {
  if (!is_table()) {
    fail(where(), ": ", shown_path(path()), " must be a table, found ", described_value(*this));
  }
  return node_->value.members;
}

const std::vector<Config>& Config::items() const {
  if (!is_list()) {
    fail(where(), ": ", shown_path(path()), " must be a list, found ", described_value(*this));
  }
  return node_->value.items;
}

std::optional<Config> Config::find(std::string_view path) const {
  std::optional<Config> here = *this;
  for (const std::string& part : split_path(path)) {
    std::optional<Config> next;
    if (here->is_table()) {
      for (const Member& member : here->members()) {
        if (member.key == part) next = member.value;
      }
    } else if (here->is_list()) {
      const std::optional<std::size_t> index = as_index(part);
      if (index && *index < here->items().size()) next = here->items()[*index];
    }
    if (!next) return std::nullopt;
    here = next;
  }
  return here;
}

Config Config::at(std::string_view path) const {
  std::optional<Config> found = find(path);
  if (!found) fail(where(), ": ", shown_path(this->path()), " lacks the key '", path, "'");
  return *found;
}

namespace {
[[noreturn]] void mistyped(const Config& value, std::string_view expected) {
  fail(value.where(), ": ", shown_path(value.path()), " must be ", expected, ", found ",
       described_value(value));
}

template <class T>
std::vector<T> items_as(const Config& value, std::string_view expected) {
  if (!value.is_list()) mistyped(value, expected);
  std::vector<T> items;
  for (const Config& item : value.items()) items.push_back(item.as<T>());
  value.mark_read();
  return items;
}
}  // namespace

template <>
bool Config::as<bool>() const {
  if (type() != Type::boolean) mistyped(*this, "true or false");
  mark_read();
  return node_->value.boolean;
}

template <>
std::int64_t Config::as<std::int64_t>() const {
  if (type() != Type::integer) mistyped(*this, "an integer");
  mark_read();
  return node_->value.integer;
}

template <>
int Config::as<int>() const {
  const std::int64_t value = as<std::int64_t>();
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    fail(where(), ": ", shown_path(path()), " is ", value, ", which an int (32 bits) cannot hold");
  }
  return static_cast<int>(value);
}

template <>
double Config::as<double>() const {
  if (type() == Type::integer) return static_cast<double>(as<std::int64_t>());
  if (type() != Type::number) mistyped(*this, "a number");
  mark_read();
  return node_->value.number;
}

template <>
float Config::as<float>() const {
  const double value = as<double>();
  if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) {
    fail(where(), ": ", shown_path(path()), " is ", value, ", which a float (32 bits) cannot hold");
  }
  return static_cast<float>(value);
}

template <>
std::string Config::as<std::string>() const {
  if (type() != Type::text) mistyped(*this, "a string");
  mark_read();
  return node_->value.text;
}

template <>
std::vector<std::int64_t> Config::as<std::vector<std::int64_t>>() const {
  return items_as<std::int64_t>(*this, "a list of integers");
}
template <>
std::vector<double> Config::as<std::vector<double>>() const {
  return items_as<double>(*this, "a list of numbers");
}
template <>
std::vector<std::string> Config::as<std::vector<std::string>>() const {
  return items_as<std::string>(*this, "a list of strings");
}

void Config::mark_read() const {
  node_->read = true;
  if (is_table()) {
    for (const Member& member : members()) member.value.mark_read();
  } else if (is_list()) {
    for (const Config& item : items()) item.mark_read();
  }
}

std::vector<std::string> Config::unread() const {
  std::vector<std::string> paths;
  if (is_table()) {
    for (const Member& member : members()) {
      for (std::string& path : member.value.unread()) paths.push_back(std::move(path));
    }
  } else if (is_list() && !items().empty() && items().front().is_table()) {
    for (const Config& item : items()) {
      for (std::string& path : item.unread()) paths.push_back(std::move(path));
    }
  } else if (!node_->read) {
    paths.push_back(path());
  }
  return paths;
}

Config Config::placed(std::string path, Origin origin) const {
  return made(node_->value, std::move(origin), std::move(path));
}

Config Config::rooted(std::string path) const {
  Value value = node_->value;
  for (Member& member : value.members) {
    member.value = member.value.rooted(join_path(path, member.key));
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    value.items[i] = value.items[i].rooted(join_path(path, std::to_string(i)));
  }
  return made(std::move(value), node_->origin, std::move(path));
}

bool Config::operator==(const Config& other) const {
  if (type() != other.type()) return false;
  const Value& left = node_->value;
  const Value& right = other.node_->value;
  if (left.items != right.items || left.text != right.text || left.integer != right.integer ||
      left.number != right.number || left.boolean != right.boolean) {
    return false;
  }
  const auto by_key = [](const Member& a, const Member& b) { return a.key < b.key; };
  std::vector<Member> mine = left.members;
  std::vector<Member> others = right.members;
  std::sort(mine.begin(), mine.end(), by_key);
  std::sort(others.begin(), others.end(), by_key);
  return mine == others;
}

}  // namespace lathe
