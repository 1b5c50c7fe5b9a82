// reward "bleu": BLEU of the completion against the answer (Papineni et al., 2002), in 0..1.
//
//   [[reward]]
//   use = "bleu"
//   column = "answer"
//
// BLEU = exp(min(0, 1 - r / h)) exp(1/N sum_n log p_n), with h and r the numbers of words of the
// completion and of the answer, and p_n the share of the completion's n-grams that are in the
// answer. One sentence, so precisions of 0 are smoothed (Chen and Cherry, 2014): "exp" takes
// 1 / (2^k h_n) for the k-th of them, "floor" smooth_value / h_n, "add-k" adds smooth_value to both
// sides of the fractions from n = 2. All numbers are those of sacrebleu's sentence_bleu (Post,
// 2018), divided by 100. Not applicable where a row has no answer.
#include <lathe/learn/answers.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/ngrams.h>
#include <lathe/text/words.h>

#include <array>
#include <cmath>
#include <utility>

namespace lathe {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }
// Punctuation that is a word of its own everywhere: all of ASCII but ' , - . and the space.
bool is_mark(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c > ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

// Goes through all neighbours from left to right. Where fits(a, b), both are written with the given
// texts around them, and neither takes part in another pair.
template <class Fits>
std::string part_pairs(const std::string& text, const Fits& fits, std::string_view before,
                       std::string_view between, std::string_view after) {
  std::string parted;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at + 1 == text.size() || !fits(text[at], text[at + 1])) {
      parted += text[at];
      continue;
    }
    parted += before;
    parted += text[at];
    parted += between;
    parted += text[++at];
    parted += after;
  }
  return parted;
}

// The tokenizer of mteval-v13a: words with spaces between them.
std::string parted_13a(std::string text) {
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> entities = {
      {{"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}}};
  for (const auto& [entity, character] : entities) replace_all(text, entity, character);
  std::string parted = " ";
  for (const char c : text) {
    if (is_mark(c)) {
      parted += {' ', c, ' '};
    } else {
      parted += c;
    }
  }
  parted += ' ';
  parted = part_pairs(
      parted, [](char a, char b) { return !is_digit(a) && is_point(b); }, "", " ", " ");
  parted = part_pairs(
      parted, [](char a, char b) { return is_point(a) && !is_digit(b); }, " ", " ", "");
  return part_pairs(
      parted, [](char a, char b) { return is_digit(a) && b == '-'; }, "", " ", " ");
}

}  // namespace

class Bleu final : public Reward {
 public:
  struct Options : Keys {
    std::string column = key("column", "answer", "column of the data to compare with");
    int order = key("order", 4, "N: words of the longest n-grams", between(1, 16));
    std::string smooth = key("smooth", "exp", "what becomes of precisions that are 0",
                             one_of({"exp", "floor", "add-k", "none"}));
    double smooth_value =
        key("smooth_value", -1.0, "of floor and add-k; -1: their usual ones, 0.1 and 1");
    bool effective_order = key("effective_order", true,
                               "only the n-grams that the completion is long enough for count");
    std::string words = key("words", "13a",
                            "how texts are cut into words: mteval-v13a, or at "
                            "white space alone",
                            one_of({"13a", "space"}));
    bool ignore_case = key("ignore_case", false, "capital and small letters are the same");
  };
  explicit Bleu(const Config& config) : with_(config) {
    if (with_.smooth_value < 0) with_.smooth_value = with_.smooth == "floor" ? 0.1 : 1;
  }

  void score(const Completions& completions, Scores& scores) override {
    score_against(answers_of(completions, with_.column, "bleu"), completions, scores,
                  [&](const std::string& text, const std::string& answer) {
                    return bleu(prepared(text), prepared(answer));
                  });
  }

 private:
  std::string prepared(const std::string& text) const {
    std::string own = with_.ignore_case ? lower_case(text) : text;
    const std::vector<std::string_view> words = words_of(own);
    if (words.empty()) return "";
    const std::string_view last = words.back();
    own.resize(static_cast<std::size_t>(last.data() - own.data()) + last.size());
    return with_.words == "13a" ? parted_13a(std::move(own)) : own;
  }

  double bleu(const std::string& text, const std::string& answer) const {
    const std::vector<std::string_view> given = words_of(text);
    const std::vector<std::string_view> wanted = words_of(answer);
    double logarithms = 0;
    double halves = 1;  // of "exp"
    int orders = with_.order;
    bool any = false;
    for (int n = 1; n <= with_.order; ++n) {
      const NgramCounts own = count_ngrams(given, static_cast<std::size_t>(n));
      auto right = static_cast<double>(
          common_ngrams(own, count_ngrams(wanted, static_cast<std::size_t>(n))));
      auto total = static_cast<double>(own.total);
      any = any || right > 0;
      if (with_.smooth == "add-k" && n > 1) {
        right += with_.smooth_value;
        total += with_.smooth_value;
      }
      if (total == 0) {
        // A precision without n-grams is left out, or 0 and with it the product.
        if (!with_.effective_order) return 0;
        orders = n - 1;
        break;
      }
      if (right == 0 && with_.smooth == "exp") right = 1 / (halves *= 2);
      if (right == 0 && with_.smooth == "floor") right = with_.smooth_value;
      logarithms += std::log(right / total);
    }
    if (!any) return 0;  // nothing in common: smoothing gives no credit
    const double brevity =
        given.size() < wanted.size()
            ? std::exp(1 - static_cast<double>(wanted.size()) / static_cast<double>(given.size()))
            : 1;
    return brevity * std::exp(logarithms / orders);
  }

  Options with_;
};

LATHE_PLUGIN(Reward, Bleu, "bleu", "1.0.0")
}  // namespace lathe
