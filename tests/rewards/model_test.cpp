// Rewards that ask trained models, "model" and "kl", against passes of single rows computed by
// hand.
#include <lathe/plugin/registry.h>

#include "plugins/rewards/kl.cpp"
#include "plugins/rewards/model.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

using testing::error_of;

constexpr std::int64_t vocabulary = 7;
constexpr std::int64_t context_length = 12;

Registry& registry() {
  static Registry registry([] {
    PluginPlaces places;
    places.user_folders = false;
    places.folders = {LATHE_PLUGINS};
    return places;
  }());
  return registry;
}

std::unique_ptr<ModelCopy> small_gpt(std::uint64_t seed) {
  static const std::shared_ptr<Backend> backend = registry().create<Backend>("reference", Config());
  auto copy = std::make_unique<ModelCopy>();
  copy->model = registry().create<Model>(
      "gpt", parse_toml("layers = 2\nheads = 2\nwidth = 8\nhidden = 10\ndeviation = 0.5\n"
                        "value_initial = \"normal\"\n",
                        "exp.toml"));
  ModelFit fit;
  fit.vocabulary = vocabulary;
  fit.context = context_length;
  fit.values = true;
  copy->model->build(copy->parameters, fit);
  copy->parameters.allocate(backend, Precision::f64, seed);
  return copy;
}

RewardContext context() {
  RewardContext context;
  context.load_model = [](const std::string& run) { return small_gpt(run == "base" ? 1 : 2); };
  return context;
}

// Prompts and completions of many lengths.
Completions tokens_of_many_lengths() {
  Completions all = testing::completions_of({"", "", "", "", ""});
  all.prompt_tokens = {{1, 2, 3}, {4}, {5, 6, 1, 2, 3, 4, 5}, {2, 2}, {3}};
  all.tokens = {{4, 5}, {1, 1, 1, 1, 6}, {0}, {}, {6, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3}};
  return all;
}

// One row alone, without padding.
struct Alone {
  std::unique_ptr<ModelCopy> copy;
  ModelInput input;
  Tensor hidden;
  std::size_t length;

  Alone(std::uint64_t seed, const Completions& all, std::size_t m) : copy(small_gpt(seed)) {
    std::vector<std::int32_t> tokens = all.prompt_tokens[m], positions;
    tokens.insert(tokens.end(), all.tokens[m].begin(), all.tokens[m].end());
    length = tokens.size();
    for (std::size_t t = 0; t < length; ++t) positions.push_back(static_cast<std::int32_t>(t));
    const auto& backend = copy->parameters.backend();
    const auto count = static_cast<std::int64_t>(length);
    input.tokens = Tensor::of<std::int32_t>(backend, {count}, tokens);
    input.places.rows = 1;
    input.places.length = count;
    input.places.positions = Tensor::of<std::int32_t>(backend, {count}, positions);
    hidden = copy->model->hidden(input);
  }
  double last_value() const { return copy->model->values(input, hidden).values().back(); }
  double log_probability(std::size_t place, std::int32_t next) const {
    const std::vector<double> logits = copy->model->logits(hidden).values();
    const auto own = logits.begin() + static_cast<std::ptrdiff_t>(place) * vocabulary;
    double sum = 0;
    for (std::int64_t v = 0; v < vocabulary; ++v) sum += std::exp(own[v]);
    return own[next] - std::log(sum);
  }
};

TEST(ModelReward, IsTheValueAtTheLastToken) {
  for (const std::string rows : {"1", "2", "16"}) {
    auto reward = ModelReward(parse_toml(
        "run = \"base\"\nmean = 0.25\ndeviation = 2.0\nrows = " + rows + "\n", "exp.toml"));
    reward.open(context());
    const Completions all = tokens_of_many_lengths();
    const std::vector<double> values = testing::values_of(reward, all);
    for (std::size_t m = 0; m < all.size(); ++m) {
      EXPECT_NEAR(values[m], (Alone(1, all, m).last_value() - 0.25) / 2, 1e-12) << m;
    }
    EXPECT_GT(std::abs(values[0] - values[1]), 1e-3);
  }
}

TEST(ModelReward, DoesNotApplyToNothingAndNamesWhatIsTooLong) {
  ModelReward reward(parse_toml("run = \"judge\"\n", "exp.toml"));
  reward.open(context());
  Completions all = testing::completions_of({"", ""});
  all.prompt_tokens = {{}, {1}};
  all.tokens = {{}, {1}};
  EXPECT_FALSE(applicable(testing::scores_of(reward, all).values[0]));
  all.tokens[1].assign(12, 1);
  EXPECT_EQ(
      error_of([&] { testing::scores_of(reward, all); }),
      "reward 'model': run 'judge': a prompt and its completion have 13 tokens together, more "
      "than the 12 that the model takes: write shorter completions, or train it on longer "
      "rows");
}

TEST(KlReward, IsMinusTheLogRatioOfEachToken) {
  const std::string runs = "run = \"tuned\"\nreference = \"base\"\nrows = 2\n";
  KlReward each(parse_toml(runs, "exp.toml"));
  KlReward whole(parse_toml(runs + "per_token = false\n", "exp.toml"));
  each.open(context());
  whole.open(context());
  const Completions all = tokens_of_many_lengths();
  const Scores scores = testing::scores_of(each, all);
  EXPECT_EQ(testing::values_of(each, all), std::vector<double>(all.size(), 0.0));
  const std::vector<double> sums = testing::values_of(whole, all);
  double total = 0;
  for (std::size_t m = 0; m < all.size(); ++m) {
    const Alone tuned(2, all, m), base(1, all, m);
    ASSERT_EQ(scores.per_token[m].size(), all.tokens[m].size());
    double sum = 0;
    for (std::size_t t = 0; t < all.tokens[m].size(); ++t) {
      const std::size_t before = all.prompt_tokens[m].size() + t - 1;
      const std::int32_t next = all.tokens[m][t];
      const double penalty =
          base.log_probability(before, next) - tuned.log_probability(before, next);
      EXPECT_NEAR(scores.per_token[m][t], penalty, 1e-6) << m << " " << t;
      sum += penalty;
    }
    EXPECT_NEAR(sums[m], sum, 1e-5) << m;
    total += sum;
  }
  ASSERT_EQ(scores.metrics.size(), 1U);
  EXPECT_EQ(scores.metrics[0].name, "log_ratio");
  EXPECT_NEAR(scores.metrics[0].sum, -total, 1e-5);
  EXPECT_GT(std::abs(total), 0.1);
}

TEST(KlReward, NeedsAPrompt) {
  KlReward reward(parse_toml("run = \"a\"\nreference = \"base\"\n", "exp.toml"));
  reward.open(context());
  Completions all = testing::completions_of({"x"});
  all.prompt_tokens = {{}};
  all.tokens = {{1}};
  EXPECT_EQ(
      error_of([&] { testing::scores_of(reward, all); }),
      "reward 'kl': run 'a': completion 0 has no prompt, so its first token has no likelihood");
}

}  // namespace
}  // namespace lathe
