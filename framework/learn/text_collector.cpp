#include <lathe/learn/text_collector.h>

#include <lathe/base/error.h>
#include <lathe/data/packing.h>
#include <lathe/learn/decoder.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {
std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }
}  // namespace

// What one row lived through.
struct TextCollector::Episode {
  std::vector<std::int32_t> tokens;  // prompt and actions
  std::size_t prompt = 0;
  std::vector<float> rewards;    // of each action
  std::vector<float> behaviour;  // of each action
  bool truncated = false;
  bool done = false;
};

TextCollector::TextCollector(const FeedContext& context, std::int64_t rows, std::int64_t group)
    : context_(context), rows_(rows), group_(group), environment_(context.make_environment(rows)) {
  if (rows % group != 0) {
    fail("feed 'rollouts': environments = ", rows, " is not a multiple of group = ", group);
  }
}

Batch TextCollector::assembled(const std::vector<Episode>& episodes) const {
  std::size_t length = 0;
  for (const Episode& episode : episodes) length = std::max(length, episode.tokens.size());
  const auto rows = static_cast<std::int64_t>(episodes.size());
  Batch batch = padding_batch(rows, static_cast<std::int64_t>(length));
  Experience& lived = batch.experience;
  const std::size_t places = episodes.size() * length;
  lived.rewards.resize(places);
  lived.discounts.assign(places, static_cast<float>(context_.objective->discount()));
  lived.terminated.resize(places);
  lived.truncated.resize(places);
  lived.behaviour.resize(places);
  for (std::size_t row = 0; row < episodes.size(); ++row) {
    const Episode& episode = episodes[row];
    std::vector<float> weights(episode.tokens.size(), 1.0F);
    std::fill_n(weights.begin(), episode.prompt, 0.0F);
    place_piece(batch, static_cast<std::int64_t>(row), 0, 0, episode.tokens, weights);
    const std::size_t first = row * length + episode.prompt - 1;
    std::copy(episode.rewards.begin(), episode.rewards.end(),
              lived.rewards.begin() + static_cast<std::ptrdiff_t>(first));
    std::copy(episode.behaviour.begin(), episode.behaviour.end(),
              lived.behaviour.begin() + static_cast<std::ptrdiff_t>(first));
    const std::size_t last = first + episode.rewards.size() - 1;
    (episode.truncated ? lived.truncated : lived.terminated)[last] = 1;
    if (!episode.truncated) lived.discounts[last] = 0;
  }
  return batch;
}

// Token i of each row that is at work goes to the environment.
void TextCollector::take(const std::vector<std::vector<Choice>>& written, std::size_t i,
                         std::int64_t capacity, std::vector<Episode>& episodes, Actions& actions,
                         Outcomes& outcomes, Observations& now) {
  for (std::size_t row = 0; row < episodes.size(); ++row) {
    Episode& episode = episodes[row];
    actions.choices[row] = -1;
    if (episode.done) continue;
    const Choice& choice = written[row][i];
    if (std::isnan(choice.log_probability)) fail_of_no_numbers();
    actions.choices[row] = choice.token;
    episode.tokens.push_back(choice.token);
    episode.behaviour.push_back(static_cast<float>(choice.sampled_log_probability));
    ++actions_taken_;
  }
  environment_->step(actions, now, outcomes);
  for (std::size_t row = 0; row < episodes.size(); ++row) {
    Episode& episode = episodes[row];
    if (episode.done) continue;
    episode.rewards.push_back(outcomes.rewards[row]);
    episode.truncated = outcomes.truncated[row] != 0;
    episode.done = episode.truncated || outcomes.terminated[row] != 0;
    if (!episode.done && static_cast<std::int64_t>(episode.tokens.size()) >= capacity) {
      fail("the environment lets a text grow beyond the context of ", capacity, " tokens");
    }
  }
}

Batch TextCollector::write(const std::vector<std::uint64_t>& numbers, const ActingRule& rule,
                           const RandomStream& random) {
  Observations now = empty_observations(environment_->observations(), rows_);
  Outcomes outcomes = empty_outcomes(rows_);
  Actions actions;
  actions.choices.assign(index(rows_), -1);
  std::vector<Episode> episodes(index(rows_));
  std::int64_t longest = 0;
  for (std::size_t row = 0; row < episodes.size(); ++row) {
    environment_->reset(static_cast<std::int64_t>(row), numbers[row], now);
    episodes[row].tokens = now.tokens[row];
    episodes[row].prompt = now.tokens[row].size();
    longest = std::max(longest, static_cast<std::int64_t>(episodes[row].prompt));
  }
  const std::int64_t capacity =
      context_.model->context() > 0 ? context_.model->context() : context_.length;
  if (longest >= capacity) {
    fail("a prompt of ", longest, " tokens leaves no room to write in a context of ", capacity,
         "; raise train.length");
  }
  Decoder decoder(*context_.model, *context_.parameters, rows_, capacity);
  decoder.fill(now.tokens);
  const auto rows = static_cast<std::uint64_t>(rows_);
  const WritingRule rule_of_writing{.how = sampling_of(rule), .end = -1, .draw_step = 2 * rows_};
  const auto working = [](const Episode& episode) { return !episode.done; };
  for (std::uint64_t step = 0; std::any_of(episodes.begin(), episodes.end(), working);) {
    std::vector<Turn> turns(episodes.size());
    for (std::size_t row = 0; row < episodes.size(); ++row) {
      if (episodes[row].done) continue;
      turns[row] = {.context = episodes[row].tokens,
                    .left = decoder.burst(),
                    .random = random,
                    .draw = 2 * (step * rows + row)};
    }
    // The environment looks at each token in turn; what was written past an end is dropped.
    const std::vector<std::vector<Choice>> written = decoder.write(rule_of_writing, turns);
    for (std::int64_t i = 0;
         i < decoder.burst() && std::any_of(episodes.begin(), episodes.end(), working); ++i) {
      take(written, index(i), capacity, episodes, actions, outcomes, now);
      ++step;
    }
  }
  Batch batch = assembled(episodes);
  for (const std::uint64_t number : numbers) {
    batch.experience.groups.push_back(static_cast<std::int64_t>(number));
  }
  environment_->settle(batch);
  Metric returns{"return", 0, static_cast<double>(rows_)};
  Metric lengths{"length", 0, static_cast<double>(rows_)};
  for (const float reward : batch.experience.rewards) returns.sum += static_cast<double>(reward);
  for (const Episode& episode : episodes) {
    lengths.sum += static_cast<double>(episode.rewards.size());
  }
  batch.metrics.insert(batch.metrics.begin(), {returns, lengths});
  return batch;
}

Batch TextCollector::collect(const ActingRule& rule) {
  std::vector<std::uint64_t> numbers;
  for (std::int64_t row = 0; row < rows_; ++row) {
    numbers.push_back(static_cast<std::uint64_t>((collections_ * rows_ + row) / group_));
  }
  const RandomStream random(context_.seed, context_.stream,
                            static_cast<std::uint64_t>(collections_));
  ++collections_;
  return write(numbers, rule, random);
}

std::vector<Metric> TextCollector::play(std::int64_t count, const ActingRule& rule) {
  std::vector<Metric> metrics;
  const std::int64_t whole = rows_;
  for (std::int64_t first = 0; first < count; first += whole) {
    if (count - first < rows_) {  // the rest, in an environment of its own size
      rows_ = count - first;
      environment_ = context_.make_environment(rows_);
    }
    std::vector<std::uint64_t> numbers;
    for (std::int64_t row = 0; row < rows_; ++row) {
      numbers.push_back(static_cast<std::uint64_t>(first + row));
    }
    const RandomStream random(context_.seed, context_.stream, static_cast<std::uint64_t>(first));
    add_metrics(metrics, write(numbers, rule, random).metrics);
  }
  if (rows_ != whole) {
    rows_ = whole;
    environment_ = context_.make_environment(rows_);
  }
  return metrics;
}

Batch TextCollector::perform(std::uint64_t episode, const ActingRule& rule) {
  const std::vector<std::uint64_t> numbers(index(rows_), episode);
  return write(numbers, rule, RandomStream(context_.seed, context_.stream, episode));
}

void TextCollector::save(State& state) const {
  state.put("collections", collections_);
  state.put("actions_taken", actions_taken_);
  State environment;
  environment_->save(environment);
  state.put("environment", environment);
}

void TextCollector::load(const State& state) {
  collections_ = state.integer("collections");
  actions_taken_ = state.integer("actions_taken");
  environment_->load(state.part("environment"));
}

}  // namespace lathe
