#include <lathe/conform/play.h>

#include <algorithm>

namespace lathe::conform {
namespace {
// For environments of text: the share of even tokens, which needs nothing but the tokens.
class EvenShare final : public Reward {
 public:
  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const auto& tokens = completions.tokens[m];
      const auto even =
          std::count_if(tokens.begin(), tokens.end(), [](std::int32_t id) { return id % 2 == 0; });
      scores.values[m] = static_cast<double>(even) / static_cast<double>(tokens.size() + 1);
    }
  }
};

Rewards some_rewards() {
  std::vector<Rewards::Part> parts(1);
  parts[0].name = "even";
  parts[0].reward = std::make_unique<EvenShare>();
  return Rewards(std::move(parts));
}

std::size_t at(std::int64_t row) { return static_cast<std::size_t>(row); }
}  // namespace

Play::Play(const Trial& trial, const Config& options, std::int64_t rows, std::uint64_t seed)
    : trial_(trial),
      examples_(RandomStream(3, "conform/examples"), 50),
      rewards_(some_rewards()),
      environment_(trial.make<Environment>(options)),
      rows_(rows) {
  trial.phase("opening it with ", rows, " rows");
  environment_->open({.rows = rows,
                      .seed = seed,
                      .split = Split::train,
                      .length = 48,
                      .dataset = &examples_,
                      .tokenizer = &tokenizer_,
                      .rewards = &rewards_});
  now = empty_observations(environment_->observations(), rows);
  outcomes = empty_outcomes(rows);
  episodes.assign(static_cast<std::size_t>(rows), 0);
  steps.assign(static_cast<std::size_t>(rows), 0);
}

void Play::reset(std::int64_t row, std::uint64_t episode) {
  trial_.phase("beginning episode ", episode, " in row ", row);
  environment_->reset(row, episode, now);
  episodes[at(row)] = episode;
  steps[at(row)] = 0;
  outcomes.terminated[at(row)] = outcomes.truncated[at(row)] = 0;
  outcomes.rewards[at(row)] = 0;
}
void Play::begin(std::uint64_t first) {
  for (std::int64_t row = 0; row < rows_; ++row) {
    reset(row, first + static_cast<std::uint64_t>(row));
  }
}
bool Play::ended(std::int64_t row) const {
  return outcomes.terminated[at(row)] != 0 || outcomes.truncated[at(row)] != 0;
}

Actions Play::draw(const std::set<std::int64_t>& resting) const {
  const Space space = environment_->actions();
  Actions actions;
  for (std::int64_t row = 0; row < rows_; ++row) {
    const RandomStream random = RandomStream(11, "conform/actions", episodes[at(row)]);
    const std::uint64_t step = steps[at(row)];
    if (space.kind != Space::Kind::box) {
      const auto choice =
          static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(space.size), step));
      actions.choices.push_back(resting.contains(row) ? -1 : choice);
      continue;
    }
    for (std::int64_t i = 0; i < space.size; ++i) {
      const auto index =
          step * static_cast<std::uint64_t>(space.size) + static_cast<std::uint64_t>(i);
      const double low = std::max(-2.0, static_cast<double>(space.low[at(i)]));
      const double high = std::min(2.0, static_cast<double>(space.high[at(i)]));
      actions.numbers.push_back(static_cast<float>(low + random.uniform53(index) * (high - low)));
    }
  }
  return actions;
}
void Play::step(const std::set<std::int64_t>& resting) {
  const Actions actions = draw(resting);
  trial_.phase("a step, the ", steps[0] + 1, "th of row 0");
  environment_->step(actions, now, outcomes);
  for (std::int64_t row = 0; row < rows_; ++row) {
    if (!resting.contains(row)) ++steps[at(row)];
  }
}
void Play::step_on(std::uint64_t stride) {
  step();
  for (std::int64_t row = 0; row < rows_; ++row) {
    if (ended(row)) reset(row, episodes[at(row)] + stride);
  }
}

std::string Play::seen(std::int64_t row) const {
  const Space space = environment_->observations();
  Digest digest;
  if (space.kind == Space::Kind::box) {
    for (std::int64_t i = 0; i < space.size; ++i) {
      digest.add(now.numbers[at(row * space.size + i)]);
    }
  } else if (space.kind == Space::Kind::discrete) {
    digest.add(now.states[at(row)]);
  } else {
    digest.add(now.tokens[at(row)]);
  }
  digest.add(outcomes.rewards[at(row)]).add(outcomes.terminated[at(row)]);
  return digest.add(outcomes.truncated[at(row)]).hex();
}

}  // namespace lathe::conform
