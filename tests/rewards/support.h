// Completions for tests of rewards, and the promises that each reward must keep.
#pragma once

#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/reward.h>
#include <lathe/text/bytes.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"

namespace lathe::testing {

// Each byte is a token; no end tokens.
inline Completions completions_of(const std::vector<std::string>& texts,
                                  const std::vector<std::string>& answers = {}) {
  const BytesTokenizer tokenizer{Config()};
  Completions completions;
  completions.texts = texts;
  completions.answers = answers;
  completions.answers.resize(texts.size());
  completions.prompts.assign(texts.size(), "prompt");
  completions.prompt_tokens.assign(texts.size(), {1});
  for (std::size_t m = 0; m < texts.size(); ++m) {
    completions.tokens.push_back({});
    for (const char c : texts[m]) completions.tokens[m].push_back(static_cast<unsigned char>(c));
    completions.groups.push_back(static_cast<std::int64_t>(m));
  }
  completions.ended.assign(texts.size(), 1);
  return completions;
}

inline Completions single(const Completions& all, std::size_t m) {
  Completions one;
  one.prompts = {all.prompts[m]};
  one.texts = {all.texts[m]};
  one.answers = {all.answers[m]};
  one.prompt_tokens = {all.prompt_tokens[m]};
  one.tokens = {all.tokens[m]};
  one.ended = {all.ended[m]};
  one.groups = {all.groups[m]};
  for (const auto& [name, values] : all.columns) one.columns[name] = {values[m]};
  return one;
}

inline Scores scores_of(Reward& reward, const Completions& completions) {
  Scores scores;
  scores.values.assign(completions.size(), 0);
  reward.score(completions, scores);
  return scores;
}

inline bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// The values; along the way: the batch equals single completions (where there is something to
// compare with), and equals itself from four threads at a time.
inline std::vector<double> values_of(Reward& reward, const Completions& completions) {
  const Scores together = scores_of(reward, completions);
  EXPECT_EQ(together.values.size(), completions.size());
  for (std::size_t m = 0; m < completions.size(); ++m) {
    if (!applicable(together.values[m])) continue;
    const Scores alone = scores_of(reward, single(completions, m));
    EXPECT_TRUE(same(alone.values.at(0), together.values[m])) << m << ": " << completions.texts[m];
    if (!together.per_token.empty()) {
      EXPECT_EQ(alone.per_token.at(0), together.per_token[m]) << m;
    }
  }
  std::vector<std::vector<double>> seen(4);
  std::vector<std::thread> threads;
  for (std::vector<double>& own : seen) {
    threads.emplace_back([&] { own = scores_of(reward, completions).values; });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& own : seen) {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      EXPECT_TRUE(same(own[m], together.values[m])) << m;
    }
  }
  return together.values;
}

template <class Type>
Type made(const std::string& options) {
  return Type(parse_toml(options, "exp.toml"));
}

// The values of a reward with these options.
template <class Type>
std::vector<double> values(const std::string& options, const std::vector<std::string>& texts,
                           const std::vector<std::string>& answers = {}) {
  auto reward = made<Type>(options);
  const Completions completions = completions_of(texts, answers);
  return values_of(reward, completions);
}

}  // namespace lathe::testing
