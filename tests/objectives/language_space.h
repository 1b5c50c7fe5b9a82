// A language that can be counted out: all sequences of `length` tokens of a vocabulary of 4, as the
// rows of one batch. So every expectation under a policy is a sum, and estimators of policy
// gradients can be held against the gradient itself, in f64.
#pragma once

#include <gtest/gtest.h>
#include <lathe/learn/policy.h>

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "run/tiny_session.h"

namespace lathe::testing {

using Numbers = std::vector<double>;

// Options of a component without a file.
inline Config options_of(std::vector<std::pair<std::string, Config>> options) {
  Config config = Config::table({});
  for (auto& [key, value] : options) config = config.with(key, value);
  return config;
}
inline Config word(const char* text) { return Config::text(text); }
inline Config number(double value) { return Config::number(value); }

// With model "table" each prefix has a row of preferences of its own; with a GPT all share weights,
// and a row begins with one token of prompt.
class LanguageSpace {
 public:
  static constexpr std::int64_t vocabulary = 4;

  LanguageSpace(std::int64_t length, bool table)
      : length_(length), table_(table), registry_(built_plugins()) {
    add_components(registry_);
    backend_ = registry_.create<Backend>("reference", Config::table({}));
    for (std::int64_t l = 0; l < length; ++l) sequences_ *= vocabulary;
    for (std::int64_t l = 0, states = 1; l <= length; ++l, states *= vocabulary) states_ += states;
    policy = fresh();
    reference = fresh();
    stir(policy.parameters, "policy");
    stir(reference.parameters, "reference");
  }

  std::int64_t sequences() const { return sequences_; }
  std::int64_t length() const { return length_; }

  // Sequences number i, ... as rows: T = length + 1 places, the last without an action. The reward
  // of a row comes with its last token.
  Batch rows(const std::vector<std::int64_t>& numbers, const Numbers& scores) const {
    Batch batch;
    batch.rows = static_cast<std::int64_t>(numbers.size());
    batch.length = length_ + 1;
    Experience& lived = batch.experience;
    for (const std::int64_t number : numbers) {
      std::int64_t prefix = 0, left = sequences_, first = 0, states = 1;
      for (std::int64_t t = 0; t <= length_; ++t) {
        left /= vocabulary;
        const bool acts = t < length_;
        const auto action = static_cast<std::int32_t>(acts ? number / left % vocabulary : -1);
        const auto before = static_cast<std::int32_t>(t == 0 ? 0 : prefix % vocabulary);
        batch.tokens.push_back(table_ ? static_cast<std::int32_t>(first + prefix) : before);
        batch.targets.push_back(action);
        batch.weights.push_back(acts ? 1.0F : 0.0F);
        batch.positions.push_back(static_cast<std::int32_t>(t));
        const bool last = t + 1 == length_;
        lived.rewards.push_back(last ? static_cast<float>(scores[static_cast<std::size_t>(number)])
                                     : 0.0F);
        lived.discounts.push_back(last ? 0.0F : 1.0F);
        lived.terminated.push_back(last ? 1 : 0);
        lived.truncated.push_back(0);
        first += states;
        states *= vocabulary;
        prefix = prefix * vocabulary + (acts ? action : 0);
      }
      lived.groups.push_back(0);
      batch.examples.push_back(number);
    }
    return batch;
  }
  std::vector<std::int64_t> everything() const {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < sequences_; ++i) all.push_back(i);
    return all;
  }

  ObjectivePass pass(const ModelCopy& of) const {
    return {.model = of.model.get(), .parameters = &of.parameters, .options = {}};
  }
  // log p of every sequence, [sequences], on the tape while one records.
  Tensor log_probabilities(const ModelCopy& of) const {
    const Batch batch = rows(everything(), Numbers(static_cast<std::size_t>(sequences_), 0));
    const Tensor each = policy_pass(batch, pass(of), 1, false).log_probability;
    const Tensor weights = places_tensor(pass(of), batch.weights);
    return sum(multiply(each, weights).reshape({sequences_, length_ + 1}), 1).reshape({sequences_});
  }
  Numbers probabilities(const ModelCopy& of) const {
    Numbers all = log_probabilities(of).values();
    for (double& p : all) p = std::exp(p);
    return all;
  }

  // J = sum_y p(y) (r(y) - beta log p(y)/p_ref(y)), and its gradient through the sum itself.
  double value(const Numbers& scores, double beta) const {
    const Numbers p = probabilities(policy);
    const Numbers q = probabilities(reference);
    double j = 0;
    for (std::size_t y = 0; y < p.size(); ++y) {
      j += p[y] * (scores[y] - beta * std::log(p[y] / q[y]));
    }
    return j;
  }
  Numbers exact_gradient(const Numbers& scores, double beta) {
    const Tensor theirs = places_tensor(pass(policy), log_probabilities(reference).values());
    const Tensor rewards = places_tensor(pass(policy), scores);
    return gradient([&] {
      const Tensor mine = log_probabilities(policy);
      const Tensor gain = subtract(rewards, scale(subtract(mine, theirs), beta));
      return sum(multiply(exp(mine), gain));
    });
  }
  // Of a number on the tape, for every weight of the policy.
  Numbers gradient(const std::function<Tensor()>& make) {
    policy.parameters.begin_gradients();
    {
      Tape tape;
      tape.backward(make());
    }
    policy.parameters.finish_gradients();
    Numbers all;
    for (const Parameter& parameter : policy.parameters.all()) {
      const Numbers some = parameter.gradient.values();
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

  // As in the middle of a run, where the policy is not the reference any more.
  std::unique_ptr<Objective> objective(const char* name, const Config& options) {
    auto made = registry_.create<Objective>(name, options);
    made->open({.model = policy.model.get(),
                .parameters = &policy.parameters,
                .environment = environment,
                .copy = {},
                .initial =
                    [this] {
                      auto copy = std::make_unique<ModelCopy>(fresh());
                      copy->take(reference.parameters);
                      return copy;
                    },
                .load_model = {}});
    State begun, state;
    made->save(begun);
    for (const auto& [item, value] : begun.items()) {
      if (item != "fresh") state.put_bytes(item, value.type, value.bytes);
    }
    state.put("fresh", std::int64_t{0});
    made->load(state);
    return made;
  }
  // prepare, then the gradient of the loss sum / what the loop divides by.
  Numbers loss_gradient(Objective& objective, Batch& batch) {
    objective.prepare(batch, pass(policy));
    double weight = 1;
    Numbers all = gradient([&] {
      const Loss loss = objective.loss(batch, pass(policy));
      weight = loss.weight;
      return loss.sum;
    });
    for (double& one : all) one /= weight;
    return all;
  }
  ModelCopy fresh() {
    ModelCopy copy;
    copy.model = table_ ? registry_.create<Model>("table", Config::table({}))
                        : registry_.create<Model>("gpt", options_of({{"layers", Config::integer(1)},
                                                                     {"heads", Config::integer(2)},
                                                                     {"width", Config::integer(4)},
                                                                     {"hidden", Config::integer(6)},
                                                                     {"deviation", number(0.5)}}));
    copy.model->build(
        copy.parameters,
        {.vocabulary = vocabulary,
         .context = length_ + 1,
         .observations = table_ ? Space::discrete(states_) : Space::tokens(vocabulary),
         .actions = table_ ? Space::discrete(vocabulary) : Space::tokens(vocabulary),
         .values = true});
    copy.parameters.allocate(backend_, Precision::f64, 7);
    return copy;
  }

  ModelCopy policy;
  ModelCopy reference;
  const Environment* environment = nullptr;  // for objectives that ask for the space of actions

 private:
  static void stir(Parameters& parameters, const std::string& name) {
    for (Parameter& parameter : parameters.all()) {
      auto* values = parameter.master.view().as<double>();
      const RandomStream random(3, name + "/" + parameter.name);
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
        values[i] += 0.4 * random.normal(static_cast<std::uint64_t>(i));
      }
    }
  }

  std::int64_t length_;
  bool table_;
  Registry registry_;
  std::shared_ptr<Backend> backend_;
  std::int64_t sequences_ = 1;
  std::int64_t states_ = 0;
};

// Scores that are exact in f32, and differ.
inline Numbers some_scores(std::int64_t count) {
  const RandomStream random(19, "scores");
  Numbers all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.push_back(static_cast<double>(random.below(9, static_cast<std::uint64_t>(i))) / 4 - 1);
  }
  return all;
}

inline double norm(const Numbers& all) {
  double sum = 0;
  for (const double x : all) sum += x * x;
  return std::sqrt(sum);
}
// || a - factor b || / || b ||
inline double distance(const Numbers& a, const Numbers& b, double factor = 1) {
  Numbers left = a;
  for (std::size_t i = 0; i < a.size(); ++i) left[i] -= factor * b[i];
  return norm(left) / norm(b);
}
inline void add(Numbers& all, double weight, const Numbers& some) {
  all.resize(some.size());
  for (std::size_t i = 0; i < some.size(); ++i) all[i] += weight * some[i];
}

}  // namespace lathe::testing
