#include <lathe/learn/collector.h>

#include <lathe/base/error.h>
#include <lathe/base/log.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace lathe {
namespace {

std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

Tensor wide_tensor(const Parameters& parameters, const Shape& shape,
                   std::span<const float> values) {
  if (parameters.precision() != Precision::f64) {
    return Tensor::of<float>(parameters.backend(), shape, values);
  }
  const std::vector<double> exact(values.begin(), values.end());
  return Tensor::of<double>(parameters.backend(), shape, exact);
}

void add(std::vector<Metric>& metrics, const char* name, double value) {
  for (Metric& metric : metrics) {
    if (metric.name != name) continue;
    metric.sum += value;
    metric.weight += 1;
    return;
  }
  metrics.push_back({name, value, 1});
}

}  // namespace

Collector::Collector(const FeedContext& context, std::int64_t rows)
    : context_(context),
      random_(context.seed, context.stream),
      rows_(rows),
      environment_(context.make_environment(rows)),
      observations_(environment_->observations()),
      actions_space_(environment_->actions()),
      arena_(std::make_unique<Arena>(context.parameters->backend())),
      now_(empty_observations(observations_, rows)),
      outcomes_(empty_outcomes(rows)),
      behaviour_(index(rows)),
      episodes_(index(rows)),
      returns_(index(rows)),
      lengths_(index(rows)) {
  if (actions_space_.kind == Space::Kind::box) {
    actions_.numbers.resize(index(rows * actions_space_.size));
  } else {
    actions_.choices.resize(index(rows));
  }
}

void Collector::begin() {
  if (begun_) return;
  begun_ = true;
  for (std::int64_t row = 0; row < rows_; ++row) {
    environment_->reset(row, static_cast<std::uint64_t>(row), now_);
    episodes_[index(row)] = 1;
  }
}

// Nobody learns while this acts. Bringing weights into another order pays from some steps on.
std::optional<Held> Collector::held_weights(std::int64_t steps) const {
  constexpr std::int64_t fewest = 4;
  if (steps < fewest) return std::nullopt;
  const Parameters& parameters = *context_.parameters;
  return std::optional<Held>(std::in_place, *parameters.backend(), parameters.master().view());
}

std::vector<float> Collector::logits(const Observations& seen, std::int64_t rows) {
  const NoGradient silent;
  const Parameters& parameters = *context_.parameters;
  const Arena::Step memory(*arena_, cat("act ", rows));
  ModelInput input;
  input.places.rows = rows;
  input.places.length = 1;
  if (observations_.kind == Space::Kind::box) {
    input.observations = wide_tensor(parameters, {rows, observations_.size}, seen.numbers);
  } else {
    input.tokens = Tensor::of<std::int32_t>(parameters.backend(), {rows}, seen.states);
  }
  return context_.model->logits(context_.model->hidden(input)).floats();
}

// Draws from N(mean, deviation^2) in each number. The environment clips; the policy does not.
void Collector::choose_moves(const std::vector<float>& means) {
  const std::vector<float> deviations = context_.model->deviations().floats();
  const RandomStream random = random_.at(static_cast<std::uint64_t>(steps_));
  const std::int64_t width = actions_space_.size;
  for (std::int64_t row = 0; row < rows_; ++row) {
    double log_density = 0;
    for (std::int64_t a = 0; a < width; ++a) {
      const std::size_t at = index(row * width + a);
      const auto deviation = static_cast<double>(deviations[index(a)]);
      const double noise = random.normal(at);
      actions_.numbers[at] = static_cast<float>(static_cast<double>(means[at]) + deviation * noise);
      log_density -=
          0.5 * noise * noise + std::log(deviation) + 0.5 * std::log(2 * std::numbers::pi);
    }
    behaviour_[index(row)] = static_cast<float>(log_density);
  }
}

void Collector::act(const ActingRule& rule) {
  const std::vector<float> preferences = logits(now_, rows_);
  if (actions_space_.kind == Space::Kind::box) {
    if (rule.kind == ActingRule::Kind::greedy) {
      actions_.numbers = preferences;
    } else {
      choose_moves(preferences);
    }
    return;
  }
  const RandomStream random = random_.at(static_cast<std::uint64_t>(steps_));
  const std::size_t width = index(actions_space_.size);
  for (std::size_t row = 0; row < index(rows_); ++row) {
    const ActionChoice choice =
        choose_action(std::span(preferences).subspan(row * width, width), rule, random, row);
    actions_.choices[row] = choice.action;
    behaviour_[row] = static_cast<float>(choice.log_probability);
  }
  if (!chosen_already_.empty()) actions_.choices = std::exchange(chosen_already_, {});
}

void Collector::note_end(std::int64_t row, std::vector<Metric>& metrics) {
  const std::size_t e = index(row);
  add(metrics, "return", returns_[e]);
  add(metrics, "length", static_cast<double>(lengths_[e]));
  returns_[e] = 0;
  lengths_[e] = 0;
}

Batch Collector::collect(std::int64_t steps, const ActingRule& rule) {
  begin();
  const std::optional<Held> weights = held_weights(steps);
  Batch batch;
  batch.rows = rows_;
  batch.length = steps;
  const std::size_t places = index(rows_ * steps);
  const bool box = observations_.kind == Space::Kind::box;
  const std::size_t width = box ? index(observations_.size) : 0;
  Experience& lived = batch.experience;
  lived.width = static_cast<std::int64_t>(width);
  if (box) {
    lived.observations.resize(places * width);
  } else {
    batch.tokens.resize(places);
  }
  const bool moves = actions_space_.kind == Space::Kind::box;
  const std::size_t move_width = moves ? index(actions_space_.size) : 0;
  if (moves) {
    lived.moves.resize(places * move_width);
  } else {
    batch.targets.resize(places);
  }
  batch.weights.assign(places, 1.0F);
  lived.rewards.resize(places);
  lived.discounts.assign(places, static_cast<float>(context_.objective->discount()));
  lived.terminated.resize(places);
  lived.truncated.resize(places);
  lived.behaviour.resize(places);

  struct Open {
    std::int64_t place = 0;
    std::vector<float> numbers = {};
    std::int32_t state = 0;
    bool operator<(const Open& other) const { return place < other.place; }
  };
  std::vector<Open> open;
  const auto note_open = [&](std::int64_t row, std::int64_t place) {
    Open last{.place = place};
    if (box) {
      const auto from = now_.numbers.begin() + static_cast<std::ptrdiff_t>(index(row) * width);
      last.numbers.assign(from, from + static_cast<std::ptrdiff_t>(width));
    } else {
      last.state = now_.states[index(row)];
    }
    open.push_back(std::move(last));
  };

  for (std::int64_t t = 0; t < steps; ++t) {
    act(rule);
    for (std::size_t e = 0; e < index(rows_); ++e) {
      const std::size_t place = e * index(steps) + index(t);
      if (box) {
        std::copy_n(&now_.numbers[e * width], width, &lived.observations[place * width]);
      } else {
        batch.tokens[place] = now_.states[e];
      }
      if (moves) {
        std::copy_n(&actions_.numbers[e * move_width], move_width,
                    &lived.moves[place * move_width]);
      } else {
        batch.targets[place] = actions_.choices[e];
      }
      lived.behaviour[place] = behaviour_[e];
    }
    environment_->step(actions_, now_, outcomes_);
    ++steps_;
    const std::vector<float>& earned =
        outcomes_.earned.empty() ? outcomes_.rewards : outcomes_.earned;
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::size_t e = index(row);
      const std::int64_t place = row * steps + t;
      lived.rewards[index(place)] = outcomes_.rewards[e];
      lived.terminated[index(place)] = outcomes_.terminated[e];
      lived.truncated[index(place)] = outcomes_.truncated[e];
      returns_[e] += static_cast<double>(earned[e]);
      ++lengths_[e];
      if (outcomes_.terminated[e] != 0) lived.discounts[index(place)] = 0;
      const bool ended = outcomes_.terminated[e] != 0 || outcomes_.truncated[e] != 0;
      if (outcomes_.terminated[e] == 0 && (ended || t + 1 == steps)) note_open(row, place);
      if (!ended) continue;
      note_end(row, batch.metrics);
      const std::int64_t episode = row + rows_ * episodes_[e]++;
      environment_->reset(row, static_cast<std::uint64_t>(episode), now_);
    }
  }
  std::sort(open.begin(), open.end());
  for (const Open& last : open) {
    lived.open_places.push_back(last.place);
    if (box) {
      lived.open_observations.insert(lived.open_observations.end(), last.numbers.begin(),
                                     last.numbers.end());
    } else {
      lived.open_states.push_back(last.state);
    }
  }
  environment_->settle(batch);
  if (rule.look_ahead) look_ahead(batch, rule);
  return batch;
}

// Chooses at the open observations; at the ends of rows that go on, the choice will be taken. A row
// that has just begun anew is asked at its new observation.
void Collector::look_ahead(Batch& batch, const ActingRule& rule) {
  Experience& lived = batch.experience;
  const std::size_t width = index(actions_space_.size);
  const RandomStream random(context_.seed, context_.stream + " ahead",
                            static_cast<std::uint64_t>(steps_));
  const std::vector<float> next = logits(now_, rows_);
  chosen_already_.resize(index(rows_));
  for (std::size_t e = 0; e < index(rows_); ++e) {
    chosen_already_[e] =
        choose_action(std::span(next).subspan(e * width, width), rule, random, e).action;
  }
  if (lived.open_places.empty()) return;
  Observations seen;
  seen.numbers = lived.open_observations;
  seen.states = lived.open_states;
  const auto count = static_cast<std::int64_t>(lived.open_places.size());
  const std::vector<float> open = logits(seen, count);
  for (std::size_t f = 0; f < index(count); ++f) {
    const std::int64_t place = lived.open_places[f];
    const bool goes_on = (place + 1) % batch.length == 0 && lived.truncated[index(place)] == 0;
    lived.open_actions.push_back(goes_on ? chosen_already_[index(place / batch.length)]
                                         : choose_action(std::span(open).subspan(f * width, width),
                                                         rule, random, index(rows_) + f)
                                               .action);
  }
}

std::vector<Metric> Collector::play(std::int64_t count, const ActingRule& rule) {
  const std::optional<Held> weights = held_weights(std::numeric_limits<std::int64_t>::max());
  std::vector<Metric> metrics;
  const std::int64_t rows = std::min(rows_, count);
  std::vector<std::int64_t> playing(index(rows_), -1);
  std::int64_t begun = 0;
  for (std::int64_t row = 0; row < rows_; ++row) {
    // Rows without an episode of their own repeat the first, unheard.
    environment_->reset(row, static_cast<std::uint64_t>(row < rows ? begun : 0), now_);
    if (row < rows) playing[index(row)] = begun++;
  }
  steps_ = 0;
  std::fill(returns_.begin(), returns_.end(), 0.0);
  std::fill(lengths_.begin(), lengths_.end(), 0);
  std::int64_t done = 0;
  std::int64_t cut = 0;
  while (done < count) {
    act(rule);
    environment_->step(actions_, now_, outcomes_);
    ++steps_;
    const std::vector<float>& earned =
        outcomes_.earned.empty() ? outcomes_.rewards : outcomes_.earned;
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::size_t e = index(row);
      returns_[e] += static_cast<double>(earned[e]);
      ++lengths_[e];
      const bool over = outcomes_.terminated[e] != 0 || outcomes_.truncated[e] != 0;
      if (!over && lengths_[e] != context_.longest) continue;
      if (playing[e] >= 0) {
        note_end(row, metrics);
        ++done;
        cut += over ? 0 : 1;
      }
      playing[e] = playing[e] >= 0 && begun < count ? begun++ : -1;
      returns_[e] = 0;
      lengths_[e] = 0;
      environment_->reset(row, static_cast<std::uint64_t>(std::max<std::int64_t>(playing[e], 0)),
                          now_);
    }
  }
  if (cut > 0) {
    log_warning(cut, " of ", count, " episodes of the evaluation were cut at ", context_.longest,
                " steps (evaluate.longest): the policy may go in circles");
  }
  return metrics;
}

void Collector::watch(std::uint64_t episode, const ActingRule& rule,
                      const std::function<void(const Moment&)>& hear) {
  for (std::int64_t row = 0; row < rows_; ++row) environment_->reset(row, episode, now_);
  Moment moment{.environment = environment_.get()};
  hear(moment);
  for (steps_ = 0; !moment.ended;) {
    act(rule);
    environment_->step(actions_, now_, outcomes_);
    ++steps_;
    if (actions_.choices.empty()) {
      moment.action.clear();
      for (std::int64_t a = 0; a < actions_space_.size; ++a) {
        moment.action += cat(a == 0 ? "" : " ", actions_.numbers[index(a)]);
      }
    } else {
      moment.action = environment_->action_name(actions_.choices[0]);
    }
    const std::vector<float>& earned =
        outcomes_.earned.empty() ? outcomes_.rewards : outcomes_.earned;
    moment.reward = static_cast<double>(earned[0]);
    moment.ended =
        outcomes_.terminated[0] != 0 || outcomes_.truncated[0] != 0 || steps_ == context_.longest;
    hear(moment);
  }
}

void Collector::save(State& state) const {
  state.put("begun", std::int64_t{begun_ ? 1 : 0});
  state.put("steps", steps_);
  state.put("numbers", now_.numbers);
  state.put("states", now_.states);
  state.put("chosen_already", chosen_already_);
  state.put("episodes", episodes_);
  state.put("returns", returns_);
  state.put("lengths", lengths_);
  State environment;
  environment_->save(environment);
  state.put("environment", environment);
}

void Collector::load(const State& state) {
  begun_ = state.integer("begun") != 0;
  steps_ = state.integer("steps");
  now_.numbers = state.get<float>("numbers");
  now_.states = state.get<std::int32_t>("states");
  chosen_already_ = state.get<std::int32_t>("chosen_already");
  episodes_ = state.get<std::int64_t>("episodes");
  returns_ = state.get<double>("returns");
  lengths_ = state.get<std::int64_t>("lengths");
  environment_->load(state.part("environment"));
}

}  // namespace lathe
