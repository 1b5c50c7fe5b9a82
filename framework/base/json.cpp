#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/json.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace lathe {
namespace {

// Feeds the parser and remembers how far it has read, which nlohmann tells only for syntax errors.
class CountingInput {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingInput(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingInput& operator++() {
    ++at_;
    *furthest_ = at_;
    return *this;
  }
  CountingInput operator++(int) {
    CountingInput before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingInput& other) const { return at_ == other.at_; }
  bool operator!=(const CountingInput& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Builds the value; nlohmann's own builder keeps the last of two equal keys without a word.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, std::string_view name, std::uint64_t first_line, int deepest)
      : text_(text), name_(name), first_line_(first_line), deepest_(deepest) {}

  Json build() {
    // nlohmann takes a zero byte for the end of the text.
    const std::size_t zero = text_.find('\0');
    if (zero != std::string_view::npos) fail_at(zero, "a zero byte; expected JSON");
    furthest_ = text_.data();
    const char* const end = text_.data() + text_.size();
    Json::sax_parse(CountingInput(text_.data(), &furthest_), CountingInput(end, &furthest_), this);
    return std::move(root_);
  }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // never produced from text

  bool start_object(std::size_t) override { return enter(Json::object()); }
  bool start_array(std::size_t) override { return enter(Json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& value) override {
    if (open_.back()->contains(value)) fail_at(consumed(), "duplicate key \"", value, "\"");
    key_ = std::move(value);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    std::string_view what = problem.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: " is ours to say.
    const std::size_t cut = what.find(": ");
    if (cut != std::string_view::npos) what.remove_prefix(cut + 2);
    fail_at(position > 0 ? position - 1 : 0, what);
  }

 private:
  std::size_t consumed() const { return static_cast<std::size_t>(furthest_ - text_.data()); }

  template <class... Parts>
  [[noreturn]] void fail_at(std::size_t offset, const Parts&... parts) const {
    const std::string_view before = text_.substr(0, std::min(offset, text_.size()));
    const auto line =
        first_line_ + static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t newline = before.rfind('\n');
    const std::size_t column =
        newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
    fail(name_, ":", line, ":", column, ": ", parts...);
  }

  template <class T>
  Json* place(T&& value) {
    if (open_.empty()) return &(root_ = std::forward<T>(value));
    Json& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::forward<T>(value));
    return &(parent[key_] = std::forward<T>(value));
  }

  template <class T>
  bool add(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }

  bool enter(Json container) {
    if (static_cast<int>(open_.size()) >= deepest_) {
      fail_at(consumed(), "nested deeper than ", deepest_, " levels");
    }
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool leave() {
    open_.pop_back();
    return true;
  }

  std::string_view text_, name_;
  std::uint64_t first_line_;
  int deepest_;
  const char* furthest_ = nullptr;
  Json root_;
  std::vector<Json*> open_;  // pointers stay good: only the innermost container grows
  std::string key_;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view name, int deepest) {
  return Builder(text, name, 1, deepest).build();
}

Json parse_json_line(std::string_view text, std::string_view name, std::uint64_t first_line) {
  return Builder(text, name, first_line, 128).build();
}

Json read_json(FileSystem& files, const std::string& path) {
  return parse_json(read_file(files, path), path);
}

Json read_json(const std::string& path) { return read_json(real_files(), path); }

}  // namespace lathe
