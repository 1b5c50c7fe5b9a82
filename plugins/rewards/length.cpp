// reward "length": a price on long completions, or on missing a length.
//
//   [[reward]]
//   use = "length"
//   unit = "tokens"
//   budget = 64        # units that cost nothing
//   price = 0.01       # of each further one
//
// score = -price max(0, n - budget), and with a target: -price |n - target|. The end token is not
// counted. A negative price rewards length.
#include <lathe/base/error.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

#include <algorithm>
#include <cmath>

namespace lathe {

class LengthReward final : public Reward {
 public:
  struct Options : Keys {
    std::string unit =
        key("unit", "tokens", "what is counted", one_of({"tokens", "characters", "words"}));
    std::int64_t budget = key("budget", std::int64_t{0}, "units that cost nothing", at_least(0));
    std::int64_t target =
        key("target", std::int64_t{-1},
            "length that costs nothing, while shorter and longer ones do; -1: none", at_least(-1));
    double price = key("price", 0.01, "of each unit");
    double most = key("most", 0.0, "largest cost of a completion; 0: no bound", at_least(0));
  };
  explicit LengthReward(const Config& config) : with_(config) {
    if (with_.target >= 0 && with_.budget > 0) {
      fail(config.where(), ": reward 'length' has a budget and a target: give one of them");
    }
  }

  void open(const RewardContext& context) override {
    if (context.tokenizer != nullptr) end_ = context.tokenizer->end_id();
  }

  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const std::int64_t count = length_of(completions, m);
      const std::int64_t units = with_.target >= 0
                                     ? std::abs(count - with_.target)
                                     : std::max<std::int64_t>(0, count - with_.budget);
      const double cost = with_.price * static_cast<double>(units);
      scores.values[m] = with_.most > 0 ? std::clamp(-cost, -with_.most, with_.most) : -cost;
    }
  }

 private:
  std::int64_t length_of(const Completions& completions, std::size_t m) const {
    if (with_.unit == "words") return std::ssize(words_of(completions.texts[m]));
    if (with_.unit == "characters") return std::ssize(characters_of(completions.texts[m]));
    const std::vector<std::int32_t>& tokens = completions.tokens[m];
    return std::ssize(tokens) - (end_ >= 0 && !tokens.empty() && tokens.back() == end_ ? 1 : 0);
  }

  Options with_;
  std::int32_t end_ = -1;
};

LATHE_PLUGIN(Reward, LengthReward, "length", "1.0.0")
}  // namespace lathe
