// reward "model": the score of a trained reward model.
//
//   [[reward]]
//   use = "model"
//   run = "runs/judge"     # a run with objective = "reward_model"; its best step is taken
//
// The score is the value head's output at the last token of the completion, which has seen prompt
// and completion (Ziegler et al., 2019; Stiennon et al., 2020). Both runs must read the same
// tokens. Not applicable where prompt and completion are empty.
#include <lathe/base/error.h>
#include <lathe/learn/scoring.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class ModelReward final : public Reward {
 public:
  struct Options : Keys {
    std::string run =
        required<std::string>("run", "run, or checkpoint, of the reward model", not_empty);
    int rows = key("rows", 16, "completions that go through the model together", at_least(1),
                   affects_runtime);
    double mean = key("mean", 0.0, "is subtracted from the model's output");
    double deviation = key("deviation", 1.0, "the difference is divided by this", above(0));
  };
  explicit ModelReward(const Config& config) : with_(config) {}

  void open(const RewardContext& context) override {
    if (!context.load_model) fail("reward 'model': models of other runs cannot be loaded here");
    model_ = std::make_unique<ScoringModel>(
        context.load_model(with_.run), cat("reward 'model': run '", with_.run, "'"), with_.rows);
  }

  void score(const Completions& completions, Scores& scores) override {
    scores.values = model_->last_values(completions);
    for (double& value : scores.values) value = (value - with_.mean) / with_.deviation;
  }

 private:
  Options with_;
  std::unique_ptr<ScoringModel> model_;
};

LATHE_PLUGIN(Reward, ModelReward, "model", "1.0.0")
}  // namespace lathe
