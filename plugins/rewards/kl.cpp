// reward "kl": a penalty on what one model finds likelier than another one, token by token.
//
//   [[reward]]
//   use = "kl"
//   run = "runs/tuned"         # p
//   reference = "runs/base"    # q
//   weight = 0.1
//
// Token t of a completion is given -(log p(y_t | before) - log q(y_t | before)), at its own place;
// the mean of minus their sum over texts drawn from p is KL(p || q). Both are fixed, trained
// models: the drift of the policy that learns from where it began is an option of its objective.
// With `per_token` = false the sum is the score, given with the last token. The metric "log_ratio"
// is the sum of log p - log q, for each completion.
#include <lathe/base/error.h>
#include <lathe/learn/scoring.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class KlReward final : public Reward {
 public:
  struct Options : Keys {
    std::string run = required<std::string>("run", "run, or checkpoint, of the model p", not_empty);
    std::string reference =
        required<std::string>("reference", "run, or checkpoint, of the model q", not_empty);
    bool per_token = key("per_token", true, "each token is given its part; else the last one all");
    int rows = key("rows", 16, "completions that go through a model together", at_least(1),
                   affects_runtime);
  };
  explicit KlReward(const Config& config) : with_(config) {}

  void open(const RewardContext& context) override {
    if (!context.load_model) fail("reward 'kl': models of other runs cannot be loaded here");
    const auto load = [&](const std::string& run) {
      return std::make_unique<ScoringModel>(context.load_model(run),
                                            cat("reward 'kl': run '", run, "'"), with_.rows);
    };
    model_ = load(with_.run);
    reference_ = load(with_.reference);
  }

  void score(const Completions& completions, Scores& scores) override {
    const auto own = model_->log_probabilities(completions);
    const auto theirs = reference_->log_probabilities(completions);
    Metric log_ratio{"log_ratio", 0, static_cast<double>(completions.size())};
    if (with_.per_token) scores.per_token.resize(completions.size());
    for (std::size_t m = 0; m < completions.size(); ++m) {
      double sum = 0;
      for (std::size_t t = 0; t < own[m].size(); ++t) {
        const float penalty = theirs[m][t] - own[m][t];
        sum += static_cast<double>(penalty);
        if (with_.per_token) scores.per_token[m].push_back(penalty);
      }
      scores.values[m] = with_.per_token ? 0 : sum;
      log_ratio.sum -= sum;
    }
    scores.metrics.push_back(log_ratio);
  }

 private:
  Options with_;
  std::unique_ptr<ScoringModel> model_;
  std::unique_ptr<ScoringModel> reference_;
};

LATHE_PLUGIN(Reward, KlReward, "kl", "1.0.0")
}  // namespace lathe
