// reward "repetition": minus the share of n-grams that the completion has said before.
//
//   [[reward]]
//   use = "repetition"
//   n = 3
//   unit = "words"
//
// score = -(1 - distinct n-grams / n-grams), from -1 (one thing over and over) to 0 (nothing twice,
// or fewer than n units): 1 - distinct-n of Li et al. (2016), as a penalty.
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/ngrams.h>
#include <lathe/text/words.h>

namespace lathe {

class Repetition final : public Reward {
 public:
  struct Options : Keys {
    int n = key("n", 3, "units of an n-gram", between(1, 64));
    std::string unit =
        key("unit", "words", "what n-grams are made of", one_of({"tokens", "characters", "words"}));
    bool ignore_case = key("ignore_case", true, "capital and small letters are the same");
  };
  explicit Repetition(const Config& config) : with_(config) {}

  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const NgramCounts counts = counts_of(completions, m);
      const auto repeated =
          static_cast<double>(counts.total - static_cast<std::int64_t>(counts.counts.size()));
      scores.values[m] = repeated == 0 ? 0.0 : -repeated / static_cast<double>(counts.total);
    }
  }

 private:
  NgramCounts counts_of(const Completions& completions, std::size_t m) const {
    const auto n = static_cast<std::size_t>(with_.n);
    if (with_.unit == "tokens") {
      std::vector<std::string> names;
      for (const std::int32_t token : completions.tokens[m]) names.push_back(std::to_string(token));
      return count_ngrams(std::vector<std::string_view>(names.begin(), names.end()), n);
    }
    const std::string text =
        with_.ignore_case ? lower_case(completions.texts[m]) : completions.texts[m];
    return count_ngrams(with_.unit == "words" ? words_of(text) : characters_of(text), n);
  }

  Options with_;
};

LATHE_PLUGIN(Reward, Repetition, "repetition", "1.0.0")
}  // namespace lathe
