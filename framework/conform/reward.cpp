// What a reward promises.
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/learn/reward.h>
#include <lathe/text/bytes.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <numeric>

namespace lathe::conform {
namespace {
// Completions as models write them: right and wrong answers, markup, nothing, much, nonsense.
Completions made_completions(const Trial& trial, bool answers = true) {
  const BytesTokenizer tokenizer;
  struct Row {
    std::string prompt, text, answer;
  };
  std::vector<Row> rows = {{"3+4=", "7", "7"},
                           {"3+4=", "8", "7"},
                           {"3+4=", "", "7"},
                           {"Count.", "one two three, one two three", "three"},
                           {"What is 6*7?", "<think>6*7 is 42</think><answer>42</answer>", "42"},
                           {"What is 6*7?", "<answer>41</answer>", "42"},
                           {"What is 6*7?", "The answer is \\boxed{42}.", "42"},
                           {"Write JSON.", "{\"value\": [1, 2.5, null]}", "{}"},
                           {"Repeat.", std::string(400, 'a'), "b"},
                           {"", "no prompt", "no prompt"}};
  for (int i = 0; i < 4; ++i) {
    rows.push_back({"Say something.", random_text(trial.random(cat("text", i)), 30), "x"});
  }
  Completions all;
  for (std::size_t m = 0; m < rows.size(); ++m) {
    const Row& row = rows[m];
    all.prompts.push_back(row.prompt);
    all.texts.push_back(row.text);
    all.answers.push_back(answers ? row.answer : "");
    all.prompt_tokens.push_back(tokenizer.encode(row.prompt));
    all.tokens.push_back(tokenizer.encode(row.text));
    const bool ended = m % 3 != 2;
    all.ended.push_back(ended ? 1 : 0);
    if (ended) all.tokens.back().push_back(tokenizer.end_id());
    all.groups.push_back(m > 0 && rows[m - 1].prompt == row.prompt ? all.groups.back()
                                                                   : static_cast<std::int64_t>(m));
    all.columns["level"].push_back(cat(m % 3));
  }
  return all;
}

// The completions of these numbers, in this order.
Completions chosen(const Completions& all, const std::vector<std::size_t>& numbers) {
  Completions some;
  for (const std::size_t m : numbers) {
    some.prompts.push_back(all.prompts[m]);
    some.texts.push_back(all.texts[m]);
    some.answers.push_back(all.answers[m]);
    some.prompt_tokens.push_back(all.prompt_tokens[m]);
    some.tokens.push_back(all.tokens[m]);
    some.ended.push_back(all.ended[m]);
    some.groups.push_back(all.groups[m]);
    for (const auto& [name, values] : all.columns) some.columns[name].push_back(values[m]);
  }
  return some;
}

struct Opened {
  BytesTokenizer tokenizer;
  std::unique_ptr<Reward> reward;

  Opened(const Trial& trial, const Config& options) : reward(trial.make<Reward>(options)) {
    trial.phase("opening it");
    reward->open({.folder = std::filesystem::current_path(),
                  .seed = 7,
                  .tokenizer = &tokenizer,
                  .load_model = [&](const std::string& run) -> std::unique_ptr<ModelCopy> {
                    trial.skip("it needs the model of a run ('", run,
                               "'), which this test has not got");
                  }});
    trial.phase("scoring");
  }
  Scores score(const Completions& completions) const {
    Scores scores;
    scores.values.assign(completions.size(), 0);
    reward->score(completions, scores);
    return scores;
  }
};

// Equal to the bit; two times "not applicable" are equal.
bool same(double one, double other) {
  return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other) ||
         (!applicable(one) && !applicable(other));
}

std::vector<float> tokens_of(const Scores& scores, std::size_t m) {
  return scores.per_token.empty() ? std::vector<float>() : scores.per_token[m];
}

std::string exercise(Trial& trial, const Config& options) {
  const Opened opened(trial, options);
  const Scores scores = opened.score(made_completions(trial));
  Digest digest;
  for (const double value : scores.values) digest.add(applicable(value) ? value : -77.0);
  for (const auto& values : scores.per_token) digest.add(values);
  for (const Metric& metric : scores.metrics) {
    digest.add(metric.name).add(metric.sum).add(metric.weight);
  }
  return digest.hex();
}

void check(const Trial& trial, const Completions& completions, const Scores& scores) {
  const std::size_t count = completions.size();
  if (!trial.expect(scores.values.size() == count, "gave ", scores.values.size(), " values for ",
                    count, " completions")) {
    return;
  }
  for (std::size_t m = 0; m < count; ++m) {
    trial.expect(!std::isinf(scores.values[m]), "the value of completion ", m, " is infinite");
  }
  trial.expect(scores.per_token.empty() || scores.per_token.size() == count,
               "gave values per token for ", scores.per_token.size(), " of ", count,
               " completions");
  for (std::size_t m = 0; m < std::min(count, scores.per_token.size()); ++m) {
    const auto& values = scores.per_token[m];
    trial.expect(values.empty() || values.size() == completions.tokens[m].size(), "gave ",
                 values.size(), " values for the ", completions.tokens[m].size(),
                 " tokens of completion ", m);
    trial.expect(
        std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }),
        "a value of a token of completion ", m, " is not finite");
  }
  for (const Metric& metric : scores.metrics) {
    trial.expect(!metric.name.empty() && std::isfinite(metric.sum) &&
                     std::isfinite(metric.weight) && metric.weight >= 0,
                 "the metric '", metric.name, "' is ", metric.sum, " / ", metric.weight);
  }
}

void values(Trial& trial) {
  const Opened opened(trial, trial.options());
  const Completions completions = made_completions(trial);
  const Scores scores = opened.score(completions);
  check(trial, completions, scores);
  if (std::none_of(scores.values.begin(), scores.values.end(), applicable) &&
      scores.per_token.empty()) {
    trial.warn("it applied to none of the ", completions.size(),
               " completions, so the other tests show little");
  }
}

// Compares the scores of some completions with what they had in the whole.
void compare(const Trial& trial, const Scores& whole, const std::vector<std::size_t>& numbers,
             const Scores& scores, std::string_view how) {
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const std::size_t m = numbers[k];
    trial.expect(same(scores.values.at(k), whole.values.at(m)), "completion ", m, " scores ",
                 scores.values.at(k), " ", how, ", ", whole.values.at(m), " among the others");
    trial.expect(tokens_of(scores, k) == tokens_of(whole, m), "the tokens of completion ", m,
                 " score otherwise ", how);
  }
}

std::vector<std::size_t> counting(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  return numbers;
}

void pure(Trial& trial) {
  const Opened opened(trial, trial.options());
  const Completions completions = made_completions(trial);
  const Scores first = opened.score(completions);
  opened.score(chosen(completions, {3, 1}));
  compare(trial, first, counting(completions.size()), opened.score(completions),
          "when it is scored again");
}

void singles(Trial& trial) {
  const Opened opened(trial, trial.options());
  const Completions completions = made_completions(trial);
  const Scores whole = opened.score(completions);
  for (const std::size_t m : counting(completions.size())) {
    compare(trial, whole, {m}, opened.score(chosen(completions, {m})), "alone");
  }
}

void order(Trial& trial) {
  const Opened opened(trial, trial.options());
  const Completions completions = made_completions(trial);
  const Scores whole = opened.score(completions);
  std::vector<std::size_t> numbers = counting(completions.size());
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    numbers[k] = permuted(trial.random("order"), k, numbers.size());
  }
  compare(trial, whole, numbers, opened.score(chosen(completions, numbers)), "in another order");
}

void nothing(Trial& trial) {
  const Opened opened(trial, trial.options());
  trial.expect(opened.score({}).values.empty(), "gave values for no completions");
}

// Rows without an answer are common: no opinion, or a refusal that tells what is missing.
void without_answers(Trial& trial) {
  const Opened opened(trial, trial.options());
  Completions completions = made_completions(trial, false);
  completions.columns.clear();
  try {
    check(trial, completions, opened.score(completions));
  } catch (const Error& error) {
    trial.expect(error.what()[0] != '\0', "refused completions without answers without a word");
  }
}
}  // namespace

Suite reward_suite() {
  return {.kind = "reward",
          .fitting = {},
          .exercise = exercise,
          .tests = {{"values", 1, "a finite value, or none, for each completion", values},
                    {"pure", 2, "the same completions score the same again", pure},
                    {"singles", 2, "a completion scores alone as among others", singles},
                    {"order", 2, "the order of completions changes nothing", order},
                    {"nothing", 3, "no completions, no values", nothing},
                    {"without_answers", 3, "rows without answers are scored, or refused in words",
                     without_answers}}};
}

}  // namespace lathe::conform
