// Cuts a text into the words inside which a BPE merges: the pre_tokenizer of a tokenizer.json.
#pragma once

#include <lathe/text/gpt2_scanner.h>
#include <lathe/text/pattern.h>

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// One pass over the words found so far. `isolated`: matches and what lies between them become
// words; `removed`: the matches are dropped (with `invert`: what lies between them is).
struct SplitRule {
  enum class Behavior { isolated, removed };
  std::string pattern;
  bool is_literal = false;  // a string to find rather than a regular expression
  Behavior behavior = Behavior::isolated;
  bool invert = false;
};

class Splitter {
 public:
  explicit Splitter(std::vector<SplitRule> rules, std::string_view origin = "tokenizer");

  const std::vector<SplitRule>& rules() const { return rules_; }

  // Whether the rules amount to GPT-2's pattern, so that its scanner does the work and texts may
  // be cut at its safe boundaries.
  bool is_gpt2() const { return is_gpt2_; }

  // Calls use(word) for each word of a UTF-8 text, in order.
  template <class Use>
  void for_each_word(std::string_view text, Use&& use) const {
    if (!is_gpt2_) {
      for (const std::string_view word : by_rules(text)) use(word);
      return;
    }
    const Gpt2Scanner scanner(text);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = scanner.end_of_piece(at);
      use(text.substr(at, end - at));
      at = end;
    }
  }

  // As for_each_word, always through Oniguruma.
  std::vector<std::string_view> by_rules(std::string_view text) const;

 private:
  std::vector<SplitRule> rules_;
  std::vector<Pattern> patterns_;
  bool is_gpt2_ = false;
};

}  // namespace lathe
