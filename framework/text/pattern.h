// One Oniguruma regular expression, the engine in which tokenizer.json patterns are written.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lathe {

struct Match {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool found = false;
};

class Pattern {
 public:
  // Throws Error, naming `origin` and the engine's reason, at a pattern it cannot read.
  Pattern(std::string_view expression, std::string_view origin);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  // The first match that begins at or after `from`. Thread-safe.
  Match search(std::string_view text, std::size_t from) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace lathe
