#include <lathe/base/error.h>
#include <lathe/config/nearest.h>
#include <lathe/config/reference.h>
#include <lathe/config/toml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

namespace lathe {
namespace {
bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_number(const Config& value) {
  return value.type() == Config::Type::integer || value.type() == Config::Type::number;
}

void collect_paths(const Config& value, std::vector<std::string>& paths) {
  if (!value.path().empty()) paths.push_back(value.path());
  if (!value.is_table()) return;
  for (const Config::Member& member : value.members()) collect_paths(member.value, paths);
}

class Resolver {
 public:
  explicit Resolver(const Config& root) : root_(root) {}

  Config resolved(const Config& value) {
    if (value.is_table()) {
      std::vector<Config::Member> members;
      for (const Config::Member& member : value.members()) {
        members.push_back({member.key, resolved(member.value)});
      }
      return Config::table(std::move(members), value.origin());
    }
    if (value.is_list()) {
      std::vector<Config> items;
      for (const Config& item : value.items()) items.push_back(resolved(item));
      return Config::list(std::move(items), value.origin());
    }
    if (value.type() != Config::Type::text) return value;
    const std::string text = value.as<std::string>();
    return text.find("${") == std::string::npos ? value : opened(value, text);
  }

  Config referred(const Config& from, std::string_view path, std::string_view expression) {
    const std::optional<Config> found = root_.find(path);
    if (!found) {
      std::vector<std::string> paths;
      collect_paths(root_, paths);
      fail(from.where(), ": '${", expression, "}' refers to the key '", path,
           "', which is not set.", suggestion(path, paths),
           " A key left at its default cannot be referred to; write it out.");
    }
    return resolved(*found);
  }

 private:
  // Resolves a string while its key counts as open, so that a way back to it is found.
  Config opened(const Config& value, const std::string& text) {
    const auto cycle = std::find(open_.begin(), open_.end(), value.path());
    if (cycle != open_.end()) {
      std::string chain;
      for (auto key = cycle; key != open_.end(); ++key) chain += cat(*key, " -> ");
      fail(value.where(), ": the references go in a circle: ", chain, value.path());
    }
    open_.push_back(value.path());
    Config result = expanded(value, text);
    open_.pop_back();
    return result;
  }

  Config expanded(const Config& value, std::string_view text);

  Config root_;
  std::vector<std::string> open_;
};

// One expression between the braces, read from left to right.
class Expression {
 public:
  Expression(Resolver& resolver, const Config& from, std::string_view text)
      : resolver_(resolver), from_(from), text_(text) {}

  Config value() {
    constexpr std::string_view env = "env:";
    if (text_.starts_with(env)) return environment(std::string(text_.substr(env.size())));
    Config result = sum();
    if (!at_end()) wrong(cat("unexpected '", text_.substr(at_), "'"));
    return result;
  }

 private:
  [[noreturn]] void wrong(std::string_view reason) const {
    fail(from_.where(), ": cannot evaluate '${", text_, "}': ", reason);
  }

  Config environment(const std::string& name) const {
    const char* found = std::getenv(name.c_str());
    if (!found) {
      fail(from_.where(), ": the environment variable '", name, "' of '${", text_,
           "}' is not set. Set it, or override '", from_.path(), "'.");
    }
    return parse_value(found, from_.origin());
  }

  bool at_end() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ == text_.size();
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Config sum() {
    Config left = product();
    while (true) {
      if (take('+')) {
        left = combined(left, '+', product());
      } else if (take('-')) {
        left = combined(left, '-', product());
      } else {
        return left;
      }
    }
  }

  Config product() {
    Config left = factor();
    while (true) {
      if (take('*')) {
        left = combined(left, '*', factor());
      } else if (take('/')) {
        left = combined(left, '/', factor());
      } else {
        return left;
      }
    }
  }

  Config factor() {
    if (take('-')) return combined(Config::integer(0), '-', factor());
    if (take('(')) {
      Config inner = sum();
      if (!take(')')) wrong("a bracket is not closed");
      return inner;
    }
    if (at_end()) wrong("a key or a number is missing");
    return std::isdigit(static_cast<unsigned char>(text_[at_])) ? literal() : reference();
  }

  Config literal() {
    const std::size_t begin = at_;
    double number = 0.0;
    const char* last = text_.data() + text_.size();
    const char* end = std::from_chars(text_.data() + at_, last, number).ptr;
    at_ = static_cast<std::size_t>(end - text_.data());
    std::int64_t integer = 0;
    const auto whole = std::from_chars(text_.data() + begin, end, integer);
    if (whole.ec == std::errc() && whole.ptr == end) return Config::integer(integer);
    return Config::number(number);
  }

  Config reference() {
    const std::size_t begin = at_;
    char quote = '\0';
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quote != '\0') {
        if (c == quote) quote = '\0';
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (!is_name(c) && c != '.') {
        break;
      }
    }
    if (at_ == begin) wrong(cat("unexpected '", text_.substr(at_), "'"));
    return resolver_.referred(from_, text_.substr(begin, at_ - begin), text_);
  }

  Config combined(const Config& left, char sign, const Config& right) const {
    for (const Config& side : {left, right}) {
      if (!is_number(side)) wrong(cat("arithmetic needs numbers, found ", described_value(side)));
    }
    if (left.type() == Config::Type::integer && right.type() == Config::Type::integer) {
      return of_integers(left.as<std::int64_t>(), sign, right.as<std::int64_t>());
    }
    const double a = left.as<double>();
    const double b = right.as<double>();
    if (sign == '/' && b == 0.0) wrong("division by zero");
    return Config::number(sign == '+' ? a + b : sign == '-' ? a - b : sign == '*' ? a * b : a / b);
  }

  Config of_integers(std::int64_t a, char sign, std::int64_t b) const {
    std::int64_t result = 0;
    if (sign == '/') {
      if (b == 0) wrong("division by zero");
      if (b == -1) return of_integers(0, '-', a);  // the one quotient that can overflow
      if (a % b != 0) return Config::number(static_cast<double>(a) / static_cast<double>(b));
      return Config::integer(a / b);
    }
    const bool overflow = sign == '+'   ? __builtin_add_overflow(a, b, &result)
                          : sign == '-' ? __builtin_sub_overflow(a, b, &result)
                                        : __builtin_mul_overflow(a, b, &result);
    if (overflow) wrong("the result does not fit 64 bits");
    return Config::integer(result);
  }

  Resolver& resolver_;
  const Config& from_;
  std::string_view text_;
  std::size_t at_ = 0;
};

Config Resolver::expanded(const Config& value, std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find("${", at);
    if (begin != std::string_view::npos && begin > at && text[begin - 1] == '$') {
      result += cat(text.substr(at, begin - at - 1), "${");
      at = begin + 2;
      continue;
    }
    result += text.substr(at, begin - at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = text.find('}', begin);
    if (end == std::string_view::npos)
      fail(value.where(), ": '${' lacks its '}' in \"", text, "\"");
    const Config part = Expression(*this, value, text.substr(begin + 2, end - begin - 2)).value();
    if (begin == 0 && end + 1 == text.size()) return part.placed("", value.origin());
    if (part.is_table() || part.is_list()) {
      fail(value.where(), ": ", described_value(part), " cannot stand inside the string \"", text,
           "\"");
    }
    const bool string = part.type() == Config::Type::text;
    result += string ? part.as<std::string>() : part.to_text();
    at = end + 1;
  }
  return Config::text(std::move(result), value.origin());
}
}  // namespace

Config resolve_references(const Config& root) { return Resolver(root).resolved(root).rooted(""); }

}  // namespace lathe
