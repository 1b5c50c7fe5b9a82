// reward "chrf": F-score of character n-grams against the answer (Popović, 2015), in 0..1.
//
//   [[reward]]
//   use = "chrf"
//   word_order = 0     # 2: chrF++ (Popović, 2017)
//
// chrF = (1 + beta^2) P R / (beta^2 P + R), with P and R the means of precision and recall over the
// orders n = 1..char_order of characters and 1..word_order of words that both texts are long enough
// for. The numbers are those of sacrebleu's chrF, divided by 100. Not applicable where a row has no
// answer.
#include <lathe/learn/answers.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/ngrams.h>
#include <lathe/text/words.h>

namespace lathe {

namespace {

bool is_punctuation(std::string_view character) {
  return character.size() == 1 && character[0] > ' ' && character[0] <= '~' &&
         !(character[0] >= '0' && character[0] <= '9') &&
         !(character[0] >= 'A' && character[0] <= 'Z') &&
         !(character[0] >= 'a' && character[0] <= 'z');
}

// Words, with one punctuation mark cut off at the end, or else at the begin.
std::vector<std::string_view> parted_words(std::string_view text) {
  std::vector<std::string_view> parts;
  for (const std::string_view word : words_of(text)) {
    const std::size_t size = word.size();
    if (characters_of(word).size() == 1) {
      parts.push_back(word);
    } else if (is_punctuation(word.substr(size - 1))) {
      parts.insert(parts.end(), {word.substr(0, size - 1), word.substr(size - 1)});
    } else if (is_punctuation(word.substr(0, 1))) {
      parts.insert(parts.end(), {word.substr(0, 1), word.substr(1)});
    } else {
      parts.push_back(word);
    }
  }
  return parts;
}

// Sums over the orders.
struct Means {
  double precision = 0;
  double recall = 0;
  int orders = 0;

  void add(const std::vector<std::string_view>& text, const std::vector<std::string_view>& answer,
           int order) {
    for (int n = 1; n <= order; ++n) {
      const NgramCounts own = count_ngrams(text, static_cast<std::size_t>(n));
      const NgramCounts theirs = count_ngrams(answer, static_cast<std::size_t>(n));
      if (own.total == 0 || theirs.total == 0) return;  // and so for all longer ones
      const auto common = static_cast<double>(common_ngrams(own, theirs));
      precision += common / static_cast<double>(own.total);
      recall += common / static_cast<double>(theirs.total);
      ++orders;
    }
  }
};

}  // namespace

class Chrf final : public Reward {
 public:
  struct Options : Keys {
    std::string column = key("column", "answer", "column of the data to compare with");
    int char_order = key("char_order", 6, "characters of the longest n-grams", between(1, 64));
    int word_order =
        key("word_order", 0, "words of the longest n-grams; 2: chrF++", between(0, 16));
    double beta = key("beta", 2.0, "how much more recall counts than precision", above(0));
    bool white_space = key("white_space", false, "white space belongs to the characters");
    bool ignore_case = key("ignore_case", false, "capital and small letters are the same");
  };
  explicit Chrf(const Config& config) : with_(config) {}

  void score(const Completions& completions, Scores& scores) override {
    score_against(answers_of(completions, with_.column, "chrf"), completions, scores,
                  [&](const std::string& text, const std::string& answer) {
                    if (!with_.ignore_case) return chrf(text, answer);
                    return chrf(lower_case(text), lower_case(answer));
                  });
  }

 private:
  double chrf(const std::string& text, const std::string& answer) const {
    const std::string given = characters(text);
    const std::string wanted = characters(answer);
    Means means;
    means.add(characters_of(given), characters_of(wanted), with_.char_order);
    if (with_.word_order > 0) {
      means.add(parted_words(text), parted_words(answer), with_.word_order);
    }
    if (means.precision + means.recall == 0) return 0;
    const double precision = means.precision / means.orders;
    const double recall = means.recall / means.orders;
    const double factor = with_.beta * with_.beta;
    return (1 + factor) * precision * recall / (factor * precision + recall);
  }

  std::string characters(const std::string& text) const {
    if (with_.white_space) return text;
    std::string joined;
    for (const std::string_view word : words_of(text)) joined += word;
    return joined;
  }

  Options with_;
};

LATHE_PLUGIN(Reward, Chrf, "chrf", "1.0.0")
}  // namespace lathe
