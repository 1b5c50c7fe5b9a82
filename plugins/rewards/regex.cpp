// reward "regex": whether, or how often, a regular expression matches.
//
//   [[reward]]
//   use = "regex"
//   pattern = '\d+\s*$'
//   says = "match"      # 1 where it matches somewhere, else 0
//   # "whole": 1 where it matches all of the completion; "absent": 1 where it matches nowhere;
//   # "count": the number of matches that do not overlap, at most `most`
//
// The expression is one of Oniguruma's (Ruby's syntax). Where the engine gives up, because trying
// all ways to match would take too long, the reward is not applicable; the metric "gave_up" counts
// these completions.
#include <lathe/base/error.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/pattern.h>
#include <lathe/text/utf8.h>
#include <lathe/text/words.h>

namespace lathe {

class Regex final : public Reward {
 public:
  struct Options : Keys {
    std::string pattern = required<std::string>("pattern", "regular expression", not_empty);
    std::string says =
        key("says", "match", "what is worth 1", one_of({"match", "whole", "absent", "count"}));
    std::int64_t most = key("most", std::int64_t{0},
                            "of count: matches beyond do not count; 0: all do", at_least(0));
  };
  explicit Regex(const Config& config)
      : with_(config),
        pattern_(with_.says == "whole" ? "\\A(?:" + with_.pattern + ")\\z" : with_.pattern,
                 cat(config.where(), ": reward 'regex'")) {}

  void score(const Completions& completions, Scores& scores) override {
    Metric gave_up{"gave_up", 0, static_cast<double>(completions.size())};
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const std::string text = repaired_utf8(completions.texts[m]);
      try {
        scores.values[m] = value_of(text);
      } catch (const Error&) {
        scores.values[m] = not_applicable;
        gave_up.sum += 1;
      }
    }
    scores.metrics.push_back(gave_up);
  }

 private:
  double value_of(std::string_view text) const {
    if (with_.says == "count") return static_cast<double>(count(text));
    return pattern_.search(text, 0).found == (with_.says != "absent") ? 1 : 0;
  }

  std::int64_t count(std::string_view text) const {
    std::int64_t matches = 0;
    for (std::size_t at = 0; at <= text.size() && (with_.most == 0 || matches < with_.most);) {
      const Match match = pattern_.search(text, at);
      if (!match.found) break;
      ++matches;
      at = match.end;
      if (match.begin == match.end) at += at < text.size() ? read_utf8(text, at).length : 1;
    }
    return matches;
  }

  Options with_;
  Pattern pattern_;
};

LATHE_PLUGIN(Reward, Regex, "regex", "1.0.0")
}  // namespace lathe
