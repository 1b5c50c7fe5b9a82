// The one exception type of the framework, and the way to make its text.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace lathe {

// What every failure a user can cause is thrown as. The text says what is wrong and where (file,
// line, key, tensor), what was expected, and what to do. It is exported by the core library alone,
// so that it can be caught across the border of a plugin.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message);
  ~Error() override;
};

// What a component throws when this machine cannot offer it ("no device"): a state, not a fault.
class Unavailable : public Error {
 public:
  explicit Unavailable(const std::string& reason);
  ~Unavailable() override;
};

namespace detail {
void append(std::string& text, std::string_view part);
void append(std::string& text, bool value);
void append(std::string& text, char value);
void append(std::string& text, double value);  // shortest form that reads back equal
void append(std::string& text, long long value);
void append(std::string& text, unsigned long long value);

template <class T>
void append_any(std::string& text, const T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, char>) {
    append(text, value);
  } else if constexpr (std::is_enum_v<T>) {
    append(text, static_cast<long long>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    append(text, static_cast<double>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    append(text, static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    append(text, static_cast<unsigned long long>(value));
  } else {
    append(text, std::string_view(value));
  }
}
}  // namespace detail

// The parts in one string: cat("row ", 3, " of ", name). Light enough for public headers.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string text;
  (detail::append_any(text, parts), ...);
  return text;
}

// Throws Error with the parts as its text.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(cat(parts...));
}

}  // namespace lathe
