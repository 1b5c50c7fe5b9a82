// reward "rouge": overlap of the completion with the answer (Lin, 2004), in 0..1.
//
//   [[reward]]
//   use = "rouge"
//   kind = "rougeL"
//   measure = "f1"
//
// rouge1 and rouge2 count common n-grams of n = 1 and 2 words, rougeL the words of the longest
// common subsequence. With c of them common, precision = c / (those of the completion), recall =
// c / (those of the answer), f1 = 2 p r / (p + r). Words are runs of a-z and 0-9 in lower case, not
// stemmed: the numbers of Google's rouge_score. Not applicable where a row has no answer.
#include <lathe/learn/answers.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/ngrams.h>
#include <lathe/text/words.h>

#include <algorithm>

namespace lathe {

namespace {

std::string words_alone(std::string_view text) {
  std::string words = lower_case(text);
  for (char& c : words) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!kept) c = ' ';
  }
  return words;
}

// Dynamic programming over prefixes: O(|a| |b|) time, O(|b|) memory.
std::int64_t longest_common_subsequence(const std::vector<std::string_view>& a,
                                        const std::vector<std::string_view>& b) {
  std::vector<std::int64_t> longest(b.size() + 1, 0);
  for (const std::string_view word : a) {
    std::int64_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::int64_t above = longest[j + 1];
      longest[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, longest[j]);
      diagonal = above;
    }
  }
  return longest.back();
}

}  // namespace

class Rouge final : public Reward {
 public:
  struct Options : Keys {
    std::string column = key("column", "answer", "column of the data to compare with");
    std::string variant =
        key("kind", "rougeL", "what is common", one_of({"rouge1", "rouge2", "rougeL"}));
    std::string measure =
        key("measure", "f1", "what the score is", one_of({"f1", "precision", "recall"}));
  };
  explicit Rouge(const Config& config) : with_(config) {}

  void score(const Completions& completions, Scores& scores) override {
    score_against(answers_of(completions, with_.column, "rouge"), completions, scores,
                  [&](const std::string& text, const std::string& answer) {
                    return rouge(words_alone(text), words_alone(answer));
                  });
  }

 private:
  double rouge(const std::string& text, const std::string& answer) const {
    const std::vector<std::string_view> given = words_of(text);
    const std::vector<std::string_view> wanted = words_of(answer);
    if (with_.variant == "rougeL") {
      return measured(longest_common_subsequence(given, wanted), std::ssize(given),
                      std::ssize(wanted));
    }
    const std::size_t n = with_.variant == "rouge1" ? 1 : 2;
    const NgramCounts own = count_ngrams(given, n);
    const NgramCounts theirs = count_ngrams(wanted, n);
    return measured(common_ngrams(own, theirs), own.total, theirs.total);
  }

  double measured(std::int64_t common, std::int64_t given, std::int64_t wanted) const {
    if (common == 0) return 0;
    const double precision = static_cast<double>(common) / static_cast<double>(given);
    const double recall = static_cast<double>(common) / static_cast<double>(wanted);
    if (with_.measure == "precision") return precision;
    if (with_.measure == "recall") return recall;
    return 2 * precision * recall / (precision + recall);
  }

  Options with_;
};

LATHE_PLUGIN(Reward, Rouge, "rouge", "1.0.0")
}  // namespace lathe
