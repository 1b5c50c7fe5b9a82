// Configurations as text: TOML, canonical JSON, one-line forms for messages.
#include <lathe/base/error.h>
#include <lathe/config/config.h>
#include <lathe/config/node.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {
// `text` in double quotes, with the escapes that TOML and JSON share.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c == '\r') {
      result += "\\r";
    } else if (code < 0x20 || code == 0x7f) {
      constexpr std::string_view digits = "0123456789abcdef";
      result += "\\u00";
      result += digits[code >> 4];
      result += digits[code & 15];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string toml_number(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  std::string text = cat(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// JSON has no infinities; a string stands for them. Integral values print without an exponent, so
// that 1000000 and 1e6 are the same.
std::string json_number(double value) {
  if (!std::isfinite(value)) return quoted(toml_number(value));
  constexpr double exact = 9007199254740992.0;  // 2^53
  if (std::abs(value) < exact && value == std::trunc(value)) {
    return cat(static_cast<std::int64_t>(value));
  }
  return cat(value);
}

bool is_list_of_tables(const Config& value) {
  return value.is_list() && !value.items().empty() &&
         std::all_of(value.items().begin(), value.items().end(),
                     [](const Config& item) { return item.is_table(); });
}

void write_table(const Config& table, const std::string& path, bool origins, std::string& text) {
  const auto note = [&](const Config& value) {
    return origins ? cat("  # ", value.where(), "\n") : std::string("\n");
  };
  for (const Config::Member& member : table.members()) {
    if (member.value.is_table() || is_list_of_tables(member.value)) continue;
    text += cat(join_path("", member.key), " = ", member.value.to_text(), note(member.value));
  }
  for (const Config::Member& member : table.members()) {
    const std::string below = join_path(path, member.key);
    const auto open = [&](const Config& value, std::string_view left, std::string_view right) {
      if (!text.empty()) text += "\n";
      text += cat(left, below, right, note(value));
      write_table(value, below, origins, text);
    };
    if (member.value.is_table()) {
      open(member.value, "[", "]");
    } else if (is_list_of_tables(member.value)) {
      for (const Config& item : member.value.items()) open(item, "[[", "]]");
    }
  }
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) text += text.empty() ? part : cat(separator, part);
  return text;
}
}  // namespace

std::string Config::to_text() const {
  std::vector<std::string> parts;
  switch (type()) {
    case Type::table:
      for (const Member& member : members()) {
        parts.push_back(cat(join_path("", member.key), " = ", member.value.to_text()));
      }
      return parts.empty() ? "{}" : cat("{ ", joined(parts, ", "), " }");
    case Type::list:
      for (const Config& item : items()) parts.push_back(item.to_text());
      return cat("[", joined(parts, ", "), "]");
    case Type::text:
      return quoted(node_->value.text);
    case Type::integer:
      return cat(node_->value.integer);
    case Type::number:
      return toml_number(node_->value.number);
    case Type::boolean:
      return node_->value.boolean ? "true" : "false";
  }
  return "";
}

std::string Config::to_toml() const {
  std::string text;
  write_table(*this, "", false, text);
  return text;
}

std::string Config::to_toml_with_origins() const {
  std::string text;
  write_table(*this, "", true, text);
  return text;
}

std::string Config::to_json() const {
  std::vector<std::string> parts;
  switch (type()) {
    case Type::table: {
      std::vector<Member> sorted = members();
      std::sort(sorted.begin(), sorted.end(),
                [](const Member& left, const Member& right) { return left.key < right.key; });
      for (const Member& member : sorted) {
        parts.push_back(cat(quoted(member.key), ":", member.value.to_json()));
      }
      return cat("{", joined(parts, ","), "}");
    }
    case Type::list:
      for (const Config& item : items()) parts.push_back(item.to_json());
      return cat("[", joined(parts, ","), "]");
    case Type::number:
      return json_number(node_->value.number);
    default:
      return to_text();
  }
}

std::string described_value(const Config& value) {
  switch (value.type()) {
    case Config::Type::table:
      return "a table";
    case Config::Type::list:
      return cat("the list ", value.to_text());
    case Config::Type::text:
      return cat("the string ", value.to_text());
    case Config::Type::integer:
      return cat("the integer ", value.to_text());
    case Config::Type::number:
      return cat("the number ", value.to_text());
    case Config::Type::boolean:
      return cat("the boolean ", value.to_text());
  }
  return "";
}

}  // namespace lathe
