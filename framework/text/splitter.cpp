#include <lathe/text/splitter.h>

namespace lathe {

namespace {

std::string escaped(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (std::string_view(R"(\^$.|?*+()[]{}-#&)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

void split_one(std::string_view text, const SplitRule& rule, const Pattern& pattern,
               std::vector<std::string_view>& words) {
  const auto keep = [&](std::size_t begin, std::size_t end, bool is_match) {
    const bool dropped = rule.behavior == SplitRule::Behavior::removed && is_match != rule.invert;
    if (begin < end && !dropped) words.push_back(text.substr(begin, end - begin));
  };
  std::size_t done = 0;
  std::size_t from = 0;
  while (from <= text.size()) {
    const Match match = pattern.search(text, from);
    if (!match.found) break;
    keep(done, match.begin, false);
    keep(match.begin, match.end, true);
    done = match.end;
    from = match.end;
    if (match.begin == match.end) {
      from += match.end < text.size() ? read_utf8(text, match.end).length : 1;
    }
  }
  keep(done, text.size(), false);
}

}  // namespace

Splitter::Splitter(std::vector<SplitRule> rules, std::string_view origin)
    : rules_(std::move(rules)) {
  for (const SplitRule& rule : rules_) {
    patterns_.emplace_back(rule.is_literal ? escaped(rule.pattern) : rule.pattern, origin);
  }
  is_gpt2_ = rules_.size() == 1 && !rules_[0].is_literal && rules_[0].pattern == gpt2_pattern &&
             rules_[0].behavior == SplitRule::Behavior::isolated;
}

std::vector<std::string_view> Splitter::by_rules(std::string_view text) const {
  std::vector<std::string_view> words;
  if (!text.empty()) words.push_back(text);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    std::vector<std::string_view> finer;
    for (const std::string_view word : words) split_one(word, rules_[i], patterns_[i], finer);
    words = std::move(finer);
  }
  return words;
}

}  // namespace lathe
