#include <lathe/base/error.h>

#include <charconv>

namespace lathe {

Error::Error(const std::string& message) : std::runtime_error(message) {}
Error::~Error() = default;

Unavailable::Unavailable(const std::string& reason) : Error(reason) {}
Unavailable::~Unavailable() = default;

namespace detail {
namespace {
template <class T>
void append_number(std::string& text, T value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  text.append(buffer, end);
}
}  // namespace

void append(std::string& text, std::string_view part) { text += part; }
void append(std::string& text, bool value) { text += value ? "true" : "false"; }
void append(std::string& text, char value) { text += value; }
void append(std::string& text, double value) { append_number(text, value); }
void append(std::string& text, long long value) { append_number(text, value); }
void append(std::string& text, unsigned long long value) { append_number(text, value); }

}  // namespace detail
}  // namespace lathe
