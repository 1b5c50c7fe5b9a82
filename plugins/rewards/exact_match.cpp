// reward "exact_match": 1 where the completion is the answer, else 0.
//
//   [[reward]]
//   use = "exact_match"
//   column = "answer"      # of the dataset
//   after = "Answer:"      # compares what stands after the last such mark; without the mark: 0
//
// Not applicable where a row has no answer.
#include <lathe/learn/answers.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

namespace lathe {

class ExactMatch final : public Reward {
 public:
  struct Options : Keys {
    std::string column = key("column", "answer", "column of the data to compare with");
    bool strip = key("strip", true, "white space at both ends does not count");
    bool ignore_case = key("ignore_case", false, "capital and small letters are the same");
    std::string after =
        key("after", "", "only what stands after the last such mark is compared; empty: all");
  };
  explicit ExactMatch(const Config& config) : with_(config) {}

  void score(const Completions& completions, Scores& scores) override {
    score_against(answers_of(completions, with_.column, "exact_match"), completions, scores,
                  [&](std::string_view text, std::string_view answer) {
                    if (with_.after.empty()) return same(text, answer);
                    const std::size_t mark = text.rfind(with_.after);
                    if (mark == std::string_view::npos) return 0.0;
                    return same(text.substr(mark + with_.after.size()), answer);
                  });
  }

 private:
  double same(std::string_view text, std::string_view answer) const {
    if (with_.strip) {
      text = trimmed(text);
      answer = trimmed(answer);
    }
    const bool equal = with_.ignore_case ? lower_case(text) == lower_case(answer) : text == answer;
    return equal ? 1 : 0;
  }

  Options with_;
};

LATHE_PLUGIN(Reward, ExactMatch, "exact_match", "1.0.0")
}  // namespace lathe
