// reward "numeric_match": 1 where the completion's final number is the answer's, else 0.
//
//   [[reward]]
//   use = "numeric_match"
//   column = "answer"
//
// The final number is the first one after the last "####", as in GSM8K (Cobbe et al., 2021), and
// without that mark the last number of the text. Commas between groups of three digits, a dollar
// sign, and a full stop after the number are no part of it: "$70,000." is 70000. Numbers are
// compared as decimals of any length, so 18 is 18.00 and no rounding happens; `tolerance` compares
// in double precision instead. Not applicable where the answer holds no number.
#include <lathe/learn/answers.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <cstdlib>
#include <optional>

namespace lathe {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && is_digit(text[at]);
}
bool three_digits_at(std::string_view text, std::size_t at) {
  return digit_at(text, at) && digit_at(text, at + 1) && digit_at(text, at + 2) &&
         !digit_at(text, at + 3);
}

// Whether a minus sign ("-" or U+2212) stands right before `at`, or before a dollar sign there, and
// is no operator behind a number or a word.
bool is_negative(std::string_view text, std::size_t at) {
  if (at > 0 && text[at - 1] == '$') --at;
  std::string_view before = text.substr(0, at);
  if (before.ends_with("-")) {
    before.remove_suffix(1);
  } else if (before.ends_with("\u2212")) {
    before.remove_suffix(3);
  } else {
    return false;
  }
  if (before.empty()) return true;
  const char last = before.back();
  const bool letter = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z');
  return !is_digit(last) && !letter && last != ')' && last != ']';
}

// The number whose first digit (or point before a digit) is at `at`, in its shortest form: "-0.5",
// "18", "0". Moves `at` behind it.
std::string read_number(std::string_view text, std::size_t& at) {
  const bool negative = is_negative(text, at);
  std::string whole, fraction;
  std::size_t digits = 0;  // since the last comma
  for (; at < text.size(); ++at) {
    if (is_digit(text[at])) {
      whole += text[at];
      ++digits;
    } else if (text[at] == ',' && digits > 0 && digits <= 3 && three_digits_at(text, at + 1)) {
      digits = 0;
    } else {
      break;
    }
  }
  if (at < text.size() && text[at] == '.' && digit_at(text, at + 1)) {
    for (++at; digit_at(text, at); ++at) fraction += text[at];
  }
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  if (!fraction.empty()) whole += "." + fraction;
  return negative && whole != "0" ? "-" + whole : whole;
}

// The first number at or after `at`, which is moved behind it.
std::optional<std::string> next_number(std::string_view text, std::size_t& at) {
  for (; at < text.size(); ++at) {
    if (is_digit(text[at]) || (text[at] == '.' && digit_at(text, at + 1))) {
      return read_number(text, at);
    }
  }
  return std::nullopt;
}

}  // namespace

class NumericMatch final : public Reward {
 public:
  struct Options : Keys {
    std::string column = key("column", "answer", "column of the data to compare with");
    std::string mark =
        key("mark", "####", "the final number is the first one after its last place", not_empty);
    bool needs_mark = key("needs_mark", false,
                          "a completion without the mark has no final number; otherwise its last "
                          "number is");
    double tolerance =
        key("tolerance", 0.0, "largest difference that counts as equal; 0: exact", at_least(0));
    double for_number =
        key("for_number", 0.0, "score of a completion whose final number is another one");
  };
  explicit NumericMatch(const Config& config) : with_(config) {}

  void score(const Completions& completions, Scores& scores) override {
    score_against(answers_of(completions, with_.column, "numeric_match"), completions, scores,
                  [&](std::string_view text, std::string_view answer) {
                    const auto expected = final_number(answer, false);
                    if (!expected) return not_applicable;
                    const auto given = final_number(text, with_.needs_mark);
                    if (!given) return 0.0;
                    return equal(*given, *expected) ? 1.0 : with_.for_number;
                  });
  }

 private:
  std::optional<std::string> final_number(std::string_view text, bool needs_mark) const {
    std::size_t at = text.rfind(with_.mark);
    if (at != std::string_view::npos) {
      at += with_.mark.size();
      return next_number(text, at);
    }
    std::optional<std::string> last;
    if (needs_mark) return last;
    at = 0;
    while (auto next = next_number(text, at)) last = std::move(next);
    return last;
  }

  bool equal(const std::string& a, const std::string& b) const {
    if (with_.tolerance == 0) return a == b;
    return std::abs(std::strtod(a.c_str(), nullptr) - std::strtod(b.c_str(), nullptr)) <=
           with_.tolerance;
  }

  Options with_;
};

LATHE_PLUGIN(Reward, NumericMatch, "numeric_match", "1.0.0")
}  // namespace lathe
