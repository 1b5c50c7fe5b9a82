// Paths of configurations, and changed copies along them.
#include <lathe/base/error.h>
#include <lathe/config/config.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace lathe {
namespace {
bool is_bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// The item of a list that `part` counts, or nothing.
std::size_t item_index(const Config& list, const std::string& part) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size() || index >= list.items().size()) {
    fail(list.where(), ": '", list.path(), "' is a list of ", list.items().size(), " items; '",
         part, "' is not the number (from 0) of one");
  }
  return index;
}

using Parts = std::span<const std::string>;

Config changed(const Config& here, Parts parts, const Config& value) {
  if (parts.empty()) return value.rooted(here.path());
  const std::string& key = parts.front();
  const std::string path = join_path(here.path(), key);
  if (here.is_list()) {
    std::vector<Config> items = here.items();
    Config& item = items[item_index(here, key)];
    item = changed(item, parts.subspan(1), value);
    return Config::list(std::move(items), here.origin()).placed(here.path(), here.origin());
  }
  if (!here.is_table()) {
    fail(value.where(), ": cannot set '", path, "': '", here.path(), "' is ", described_value(here),
         " (", here.where(), ")");
  }
  std::vector<Config::Member> members = here.members();
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Config::Member& member) { return member.key == key; });
  if (found != members.end()) {
    found->value = changed(found->value, parts.subspan(1), value);
  } else {
    const Config empty = Config::table({}, value.origin()).placed(path, value.origin());
    members.push_back({key, changed(empty, parts.subspan(1), value)});
  }
  return Config::table(std::move(members)).placed(here.path(), here.origin());
}

Config erased(const Config& here, Parts parts) {
  if (here.is_list()) {
    std::vector<Config> items = here.items();
    const std::size_t index = item_index(here, parts.front());
    if (parts.size() > 1) {
      items[index] = erased(items[index], parts.subspan(1));
    } else {
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(index));
    }
    return Config::list(std::move(items), here.origin()).rooted(here.path());
  }
  std::vector<Config::Member> members;
  for (const Config::Member& member : here.members()) {
    if (member.key != parts.front()) {
      members.push_back(member);
    } else if (parts.size() > 1) {
      members.push_back({member.key, erased(member.value, parts.subspan(1))});
    }
  }
  return Config::table(std::move(members)).placed(here.path(), here.origin());
}
}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= path.size() && !path.empty()) {
    std::string part;
    const char quote = at < path.size() ? path[at] : '\0';
    if (quote == '"' || quote == '\'') {
      const std::size_t end = path.find(quote, at + 1);
      if (end == std::string_view::npos) fail("the key '", path, "' lacks a closing ", quote);
      part = path.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      const std::size_t end = std::min(path.find('.', at), path.size());
      part = path.substr(at, end - at);
      if (part.empty()) fail("the key '", path, "' has an empty part");
      at = end;
    }
    parts.push_back(std::move(part));
    if (at < path.size() && path[at] != '.') {
      fail("the key '", path, "' needs a dot after the quoted part '", parts.back(), "'");
    }
    if (at >= path.size()) break;
    ++at;
  }
  return parts;
}

std::string join_path(std::string_view parent, std::string_view key) {
  const std::string part = is_bare(key) ? std::string(key) : cat("\"", key, "\"");
  return parent.empty() ? part : cat(parent, ".", part);
}

Config Config::with(std::string_view path, const Config& value) const {
  return changed(*this, split_path(path), value);
}

Config Config::without(std::string_view path) const {
  const std::vector<std::string> parts = split_path(path);
  return !parts.empty() && has(path) ? erased(*this, parts) : *this;
}

}  // namespace lathe
