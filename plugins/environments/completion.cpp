// environment "completion": writing text as an episode. The state is the prefix (a prompt of the
// dataset and what has been written), an action is the next token, and the episode ends with the
// end token or after `tokens`. The rewards of [[reward]] judge the whole text and are given with
// its last token; rewards per token are given at theirs.
//
//   [data]
//   use = "sums"
//
//   [environment]
//   use = "completion"
//   tokens = 8
//
//   [[reward]]
//   use = "exact_match"
//
// Prompts come from the training split in an order of its own for each epoch; evaluation takes the
// held-out ones as they stand.
#include <lathe/learn/environment.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>

namespace lathe {

class CompletionEnvironment final : public Environment {
 public:
  static constexpr const char* needs[] = {"reward", "cached decoding"};
  struct Options : Keys {
    std::int64_t tokens = key("tokens", 64, "most tokens of a completion", at_least(1));
    std::string at_limit = key(
        "at_limit", "end",
        "a text of so many tokens is over, and nothing follows (end); or it was only cut off, and "
        "what could have followed has a value, which objectives with values add (truncate)",
        one_of({"end", "truncate"}));
    std::string cut = key("cut", "keep",
                          "a completion that was cut off: keep its score; give it cut_score in "
                          "place of its score (Ziegler et al., 2019); or learn nothing from it",
                          one_of({"keep", "score", "drop"}));
    double cut_score = key("cut_score", -1.0, "the score with cut = \"score\"");
    double score_scale = key("score_scale", 1.0, "each score is multiplied by this");
    double score_shift = key("score_shift", 0.0, "and then this is added");
    double score_clip =
        key("score_clip", 0.0, "then it is clipped to -this ... this; 0: not", at_least(0));
  };
  explicit CompletionEnvironment(const Config& config) : with_(config) {}

  void open(const EnvironmentContext& context) override {
    context_ = context;
    if (context.dataset == nullptr || context.tokenizer == nullptr) {
      fail("environment 'completion' takes its prompts from a dataset: add [data] use = \"...\"");
    }
    if (context.rewards == nullptr) {
      fail("environment 'completion' knows no score: add at least one [[reward]] use = \"...\"");
    }
    if (context.dataset->size(context.split) == 0) {
      fail("environment 'completion': the ", name_of(context.split),
           " split of the dataset has no examples to take prompts from");
    }
    rows_.resize(static_cast<std::size_t>(context.rows));
  }

  Space observations() const override { return Space::tokens(context_.tokenizer->size()); }
  Space actions() const override { return Space::tokens(context_.tokenizer->size()); }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    Row& own = rows_.at(static_cast<std::size_t>(row));
    const auto size = static_cast<std::uint64_t>(context_.dataset->size(context_.split));
    own = {};
    own.example =
        context_.split == Split::train
            ? permuted(RandomStream(context_.seed, "prompts", episode / size), episode % size, size)
            : episode % size;
    const Example example = example_of(own);
    own.prompt.assign(example.tokens.begin(), example.tokens.begin() + example.prompt);
    if (own.prompt.empty()) {
      fail("environment 'completion': example ", own.example, " of the ", name_of(context_.split),
           " split has no prompt; the dataset must mark prompts");
    }
    const std::int64_t room = context_.length - static_cast<std::int64_t>(own.prompt.size());
    if (room < 1) {
      fail("environment 'completion': the prompt of example ", own.example, " has ",
           own.prompt.size(), " tokens and leaves no room in train.length = ", context_.length);
    }
    own.limit = static_cast<std::size_t>(std::min(with_.tokens, room));
    now.tokens.at(static_cast<std::size_t>(row)) = own.prompt;
  }

  void step(const Actions& actions, Observations&, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      if (actions.choices[r] < 0) continue;
      Row& own = rows_[r];
      own.written.push_back(actions.choices[r]);
      const bool end = actions.choices[r] == context_.tokenizer->end_id();
      outcomes.rewards[r] = 0;
      const bool full = own.written.size() >= own.limit;
      outcomes.terminated[r] = end || (full && with_.at_limit == "end") ? 1 : 0;
      outcomes.truncated[r] = full && outcomes.terminated[r] == 0 ? 1 : 0;
    }
  }

  void settle(Batch& batch) override {
    const Completions completions = completions_of(batch);
    Scores scores = context_.rewards->score(completions);
    batch.metrics.insert(batch.metrics.end(), scores.metrics.begin(), scores.metrics.end());
    double ended = 0;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      ended += completions.ended[r] != 0 ? 1 : 0;
      batch.written.push_back({completions.prompts[r], completions.texts[r], scores.values[r]});
      place(batch, r, completions.ended[r] != 0, scores);
    }
    batch.metrics.push_back({"ended", ended, static_cast<double>(rows_.size())});
  }

  std::string render(std::int64_t row) const override {
    const Row& own = rows_.at(static_cast<std::size_t>(row));
    return context_.tokenizer->decode(own.prompt) + context_.tokenizer->decode(own.written);
  }
  std::string action_name(std::int32_t action) const override {
    return std::string(context_.tokenizer->token(action));
  }

  void save(State& state) const override {
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const Row& own = rows_[r];
      State row;
      row.put("example", static_cast<std::int64_t>(own.example));
      row.put("limit", static_cast<std::int64_t>(own.limit));
      row.put("prompt", own.prompt);
      row.put("written", own.written);
      state.put(cat(r), row);
    }
  }
  void load(const State& state) override {
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const State row = state.part(cat(r));
      rows_[r] = {.example = static_cast<std::uint64_t>(row.integer("example")),
                  .limit = static_cast<std::size_t>(row.integer("limit")),
                  .prompt = row.get<std::int32_t>("prompt"),
                  .written = row.get<std::int32_t>("written")};
    }
  }

 private:
  struct Row {
    std::uint64_t example = 0;
    std::size_t limit = 0;  // most tokens to write
    std::vector<std::int32_t> prompt;
    std::vector<std::int32_t> written;
  };

  Example example_of(const Row& row) const {
    return context_.dataset->example(context_.split, static_cast<std::int64_t>(row.example));
  }

  Completions completions_of(const Batch& batch) const {
    const Tokenizer& tokenizer = *context_.tokenizer;
    Completions all;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const Row& own = rows_[r];
      const Example example = example_of(own);
      const bool ended = !own.written.empty() && own.written.back() == tokenizer.end_id();
      const std::span<const std::int32_t> text(own.written);
      all.prompts.push_back(tokenizer.decode(own.prompt));
      all.texts.push_back(tokenizer.decode(text.first(text.size() - (ended ? 1 : 0))));
      all.answers.push_back(example.answer);
      all.prompt_tokens.push_back(own.prompt);
      all.tokens.push_back(own.written);
      all.ended.push_back(ended ? 1 : 0);
      all.groups.push_back(batch.experience.groups.empty() ? static_cast<std::int64_t>(r)
                                                           : batch.experience.groups[r]);
      for (const auto& [name, value] : example.columns) {
        std::vector<std::string>& column = all.columns[name];
        column.resize(rows_.size());
        column[r] = value;
      }
    }
    return all;
  }

  // The rewards of row r at its places.
  void place(Batch& batch, std::size_t r, bool ended, const Scores& scores) const {
    const auto length = static_cast<std::size_t>(batch.length);
    const std::size_t first = r * length + rows_[r].prompt.size() - 1;
    const std::size_t count = rows_[r].written.size();
    double score = scores.values[r];
    if (!ended && with_.cut == "score") score = with_.cut_score;
    score = score * with_.score_scale + with_.score_shift;
    if (with_.score_clip > 0) score = std::clamp(score, -with_.score_clip, with_.score_clip);
    std::vector<float>& rewards = batch.experience.rewards;
    rewards[first + count - 1] += static_cast<float>(score);
    if (!scores.per_token.empty()) {
      const std::vector<float>& each = scores.per_token[r];
      for (std::size_t t = 0; t < each.size(); ++t) rewards[first + t] += each[t];
    }
    if (!ended && with_.cut == "drop") {
      std::fill_n(batch.weights.begin() + static_cast<std::ptrdiff_t>(first), count, 0.0F);
    }
  }

  Options with_;
  EnvironmentContext context_;
  std::vector<Row> rows_;
};

LATHE_PLUGIN(Environment, CompletionEnvironment, "completion", "1.0.0")
}  // namespace lathe
