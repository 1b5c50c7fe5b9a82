// What a model promises.
#include <lathe/conform/learner.h>
#include <lathe/conform/model_moves.h>
#include <lathe/conform/suite.h>
#include <lathe/learn/model_copy.h>
#include <lathe/tensor/ops.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <set>

namespace lathe::conform {
namespace {
using Ids = std::vector<std::int32_t>;
using Bits = std::vector<std::uint64_t>;

// The worlds that the model takes: at least one.
std::vector<World> worlds_of(const Trial& trial) {
  std::vector<World> taken;
  std::string refusals;
  for (const World& world :
       {text_world(true), text_world(false), control_world(), moving_world()}) {
    try {
      const Learner learner(trial, trial.options(), world);
      const ModelInput input = learner.input(1, 2);
      const Tensor hidden = learner.model->hidden(input);
      if (world.fit.values) learner.model->values(input, hidden);
      if (moves_in(world)) learner.model->deviations();
      if (taken.empty() || taken.back().name != world.name) taken.push_back(world);
    } catch (const Error& error) {
      refusals += cat("\n", world.name, ": ", error.what());
    }
  }
  if (taken.empty()) fail("it takes neither text nor observations:", refusals);
  return taken;
}

World first_world(const Trial& trial) { return worlds_of(trial).front(); }

// Logits [N, V] as bits, one row a place.
std::vector<Bits> logits(const Learner& learner, const ModelInput& input) {
  const NoGradient silent;
  const Tensor all = learner.model->logits(learner.model->hidden(input));
  const std::vector<double> values = all.values();
  const auto width = static_cast<std::size_t>(all.size(1));
  std::vector<Bits> bits(values.size() / width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    bits[i / width].push_back(std::bit_cast<std::uint64_t>(values[i]));
  }
  return bits;
}

std::string exercise(Trial& trial, const Config& options) {
  Digest digest;
  std::string refusal;
  for (const World& world : {text_world(false), control_world()}) {
    try {
      const Learner learner(trial, options, world);
      for (const Parameter& parameter : learner.parameters.all()) {
        digest.add(parameter.name).add(parameter.master.values());
      }
      trial.phase("a forward pass on ", world.name, " with ", options.to_text());
      for (const Bits& bits : logits(learner, learner.input(2, 5))) digest.add(bits);
    } catch (const Error& error) {
      if (!refusal.empty()) throw;  // both
      refusal = error.what();
      digest.add(refusal);
    }
  }
  return digest.hex();
}

void builds(Trial& trial) {
  for (const World& world : worlds_of(trial)) {
    const Learner learner(trial, trial.options(), world);
    std::set<std::string> names;
    for (const Parameter& parameter : learner.parameters.all()) names.insert(parameter.name);
    trial.expect(!names.empty(), "it has no parameters in the world of ", world.name);
    const ModelInput input = learner.input(2, 5);
    const Tensor hidden = learner.model->hidden(input);
    const Tensor logits = learner.model->logits(hidden);
    trial.expect(hidden.size(0) == 10, "hidden gives ", hidden.size(0), " rows for 10 places");
    trial.expect(logits.shape() == Shape({10, world.fit.vocabulary}), "logits has the shape ",
                 logits.shape().text(), ", expected ", Shape({10, world.fit.vocabulary}).text());
    for (const double value : logits.values()) {
      if (!trial.expect(std::isfinite(value), "a logit of the new model is ", value)) return;
    }
    if (!world.fit.values) continue;
    const Tensor values = learner.model->values(input, hidden);
    trial.expect(values.count() == 10, "values gives ", values.count(), " for 10 places");
  }
}

void gradients(Trial& trial) {
  for (const World& world : worlds_of(trial)) {
    Learner learner(trial, trial.options(), world);
    learner.stir();
    if (moves_in(world)) {
      check_move_gradients(trial, learner);
      continue;
    }
    ModelInput input = learner.input(2, 5);
    Ids targets = learner.random_tokens(10, 9);
    targets[3] = -1;
    std::vector<double> weights, others;
    for (int n = 0; n < 10; ++n) {
      weights.push_back(0.25 * (n % 4));
      others.push_back(0.3 - 0.1 * n);
    }
    const Tensor target = Tensor::of<std::int32_t>(learner.backend, {10}, targets);
    const Tensor weight = learner.wide(weights), other = learner.wide(others);
    check_gradients(trial, learner, cat("the cross-entropy on ", world.name), [&] {
      const Tensor hidden = learner.model->hidden(input);
      return learner.model->cross_entropy(hidden, target, weight).sum;
    });
    check_gradients(trial, learner, cat("log-probability and entropy on ", world.name), [&] {
      const Tensor hidden = learner.model->hidden(input);
      const HeadTokens tokens = learner.model->score(hidden, target, 1.3);
      const Tensor both =
          add(multiply(tokens.log_probability, weight), multiply(tokens.entropy, other));
      if (!world.fit.values) return sum(both);
      return sum(add(both, multiply(learner.model->values(input, hidden), other)));
    });
    input.pass = {.training = true, .dropout = RandomStream(5, "conform/dropout", 3)};
    check_gradients(trial, learner, cat("the cross-entropy in training on ", world.name), [&] {
      return learner.model->cross_entropy(learner.model->hidden(input), target, weight).sum;
    });
  }
}

// score and cross_entropy must be functions of logits.
void agrees(Trial& trial) {
  for (const World& world : worlds_of(trial)) {
    Learner learner(trial, trial.options(), world);
    learner.stir();
    const NoGradient silent;
    if (moves_in(world)) {
      check_move_density(trial, learner);
      continue;
    }
    const Tensor hidden = learner.model->hidden(learner.input(2, 5));
    const Ids targets = learner.random_tokens(10, 9);
    const Tensor target = Tensor::of<std::int32_t>(learner.backend, {10}, targets);
    const std::vector<double> logits = learner.model->logits(hidden).values();
    const auto V = static_cast<std::size_t>(world.fit.vocabulary);
    for (const double temperature : {1.0, 0.7}) {
      std::vector<double> expected;
      for (std::size_t n = 0; n < 10; ++n) {
        double total = 0;
        for (std::size_t v = 0; v < V; ++v) total += std::exp(logits[n * V + v] / temperature);
        const double own = logits[n * V + static_cast<std::size_t>(targets[n])] / temperature;
        expected.push_back(own - std::log(total));
      }
      const HeadTokens tokens = learner.model->score(hidden, target, temperature);
      trial.expect(relative_error(tokens.log_probability.values(), expected) < 1e-10,
                   "score at temperature ", temperature, " is not log softmax of logits");
      if (temperature != 1) continue;
      double sum = 0;
      for (const double value : expected) sum -= value;
      const Tensor ones = learner.wide(std::vector<double>(10, 1.0));
      const double loss = learner.model->cross_entropy(hidden, target, ones).sum.item();
      trial.expect(std::abs(loss - sum) <= 1e-10 * std::abs(sum), "cross_entropy is ", loss,
                   ", its logits give ", sum);
    }
  }
}

// Other weights of the same seed, then the saved ones: nothing else may hold what was learnt.
void saved(Trial& trial) {
  const World world = first_world(trial);
  ModelCopy one, other;
  const auto backend = reference(trial);
  for (ModelCopy* copy : {&one, &other}) {
    copy->model = trial.make<Model>();
    copy->model->build(copy->parameters, world.fit);
    copy->parameters.allocate(backend, Precision::f64, copy == &one ? 1 : 2);
  }
  State state;
  one.save(state);
  other.load(state);
  const Learner inputs(trial, trial.options(), world);
  const ModelInput input = inputs.input(2, 5);
  const NoGradient silent;
  const auto answer = [&](const ModelCopy& copy) {
    return copy.model->logits(copy.model->hidden(input)).values();
  };
  trial.expect(answer(one) == answer(other),
               "with the weights of another instance it gives other logits");
}

void needs_text(const Trial& trial, const World& world) {
  if (world.name != "text") trial.skip("it takes no text");
}

// Neighbours in the batch, and padding behind, change no bit.
void alone(Trial& trial) {
  const World world = first_world(trial);
  needs_text(trial, world);
  Learner learner(trial, trial.options(), world, Precision::f32);
  learner.stir();
  const Ids own = learner.random_tokens(9, 1), company = learner.random_tokens(9, 2);
  const auto expected = logits(learner, learner.input_of(own, 1, counting(9)));
  Ids both = company, places = counting(9);
  both.insert(both.end(), own.begin(), own.end());
  for (const std::int32_t place : counting(9)) places.push_back(place);
  const auto beside = logits(learner, learner.input_of(both, 2, places));
  Ids padded = own, padded_places = counting(9), segments(9, 0);
  for (int i = 0; i < 4; ++i) {
    padded.push_back(0);
    padded_places.push_back(0);
    segments.push_back(-1);
  }
  const auto before = logits(learner, learner.input_of(padded, 1, padded_places, segments));
  for (std::size_t t = 0; t < 9; ++t) {
    trial.expect(beside[9 + t] == expected[t], "place ", t, " depends on another row of the batch");
    trial.expect(before[t] == expected[t], "place ", t, " depends on the padding behind it");
  }
}

void sees(Trial& trial) {
  const World world = first_world(trial);
  needs_text(trial, world);
  Learner learner(trial, trial.options(), world, Precision::f32);
  learner.stir();
  Ids tokens = learner.random_tokens(8, 1);
  const auto before = logits(learner, learner.input_of(tokens, 1, counting(8)));
  tokens[5] = (tokens[5] + 1) % static_cast<std::int32_t>(world.fit.vocabulary);
  const auto after = logits(learner, learner.input_of(tokens, 1, counting(8)));
  trial.expect(before[5] != after[5], "a place does not depend on its own token");
  const bool earlier = !std::equal(before.begin(), before.begin() + 5, after.begin());
  if (learner.model->causal()) {
    trial.expect(!earlier, "it is causal() and yet a place depends on a later token");
  } else if (!earlier) {
    trial.warn("it says that it is not causal, but no place depends on a later token");
  }
}

// Decoding token by token, with two rows of different ages in one cache.
void cached_on(const Trial& trial, const World& world, const std::string& backend) {
  Learner learner(trial, trial.options(), world, Precision::f32, backend);
  learner.stir();
  const NoGradient silent;
  const std::vector<Ids> rows = {learner.random_tokens(12, 1), learner.random_tokens(12, 2)};
  const std::vector<std::int32_t> prompts = {3, 6};
  std::vector<std::vector<Bits>> expected;
  for (const Ids& row : rows) {
    expected.push_back(logits(learner, learner.input_of(row, 1, counting(12))));
  }
  KeyValueCache cache;
  try {
    cache = learner.model->make_cache(learner.backend, DType::f32, 2, 12);
  } catch (const Error& error) {
    trial.skip("it does not write token by token: ", error.what());
  }
  trial.phase("decoding with a cache on ", backend);
  for (std::size_t r = 0; r < 2; ++r) {
    KeyValueCache own;
    const auto row = static_cast<std::int64_t>(r);
    for (const LayerCache& layer : cache.layers) {
      own.layers.push_back(
          {Tensor(layer.keys.storage(), sliced(layer.keys.view(), 0, row, row + 1)),
           Tensor(layer.values.storage(), sliced(layer.values.view(), 0, row, row + 1))});
    }
    own.lengths = Tensor::zeros(learner.backend, {1}, DType::i32);
    ModelInput prompt = learner.input_of(Ids(rows[r].begin(), rows[r].begin() + prompts[r]), 1,
                                         counting(prompts[r]));
    prompt.places.cache = &own;
    const auto first = logits(learner, prompt);
    for (std::size_t t = 0; t < first.size(); ++t) {
      trial.expect(first[t] == expected[r][t], "on ", backend, ": place ", t,
                   " of a prompt has other bits with a cache");
    }
  }
  for (std::int32_t step = 0; step < 6; ++step) {
    const Ids places = {prompts[0] + step, prompts[1] + step};
    const Ids tokens = {rows[0][static_cast<std::size_t>(places[0])],
                        rows[1][static_cast<std::size_t>(places[1])]};
    cache.lengths = Tensor::of<std::int32_t>(learner.backend, {2}, places);
    ModelInput next = learner.input_of(tokens, 2, places);
    next.places.cache = &cache;
    const auto decoded = logits(learner, next);
    for (std::size_t r = 0; r < 2; ++r) {
      trial.expect(decoded[r] == expected[r][static_cast<std::size_t>(places[r])], "on ", backend,
                   ": token ", places[r], " has other bits from the cache than in a full pass");
    }
  }
}

void cached(Trial& trial) {
  const World world = first_world(trial);
  needs_text(trial, world);
  cached_on(trial, world, "reference");
  const std::vector<std::string> backends = trial.registry().names("backend");
  if (std::find(backends.begin(), backends.end(), "onednn") != backends.end()) {
    cached_on(trial, world, "onednn");
  }
}

// Each token has its own answer: any model must learn that by heart.
void overfits(Trial& trial) {
  for (const World& world : worlds_of(trial)) {
    if (moves_in(world)) continue;  // the same map as to choices
    Learner learner(trial, trial.options(), world);
    const ModelInput input = learner.input(2, 6, 4);
    Ids targets;
    if (input.tokens) {
      for (const std::int32_t token : input.tokens.integers()) {
        targets.push_back((3 * token + 1) % static_cast<std::int32_t>(world.fit.vocabulary));
      }
    } else {
      targets = learner.random_tokens(12, 9);
    }
    const Tensor target = Tensor::of<std::int32_t>(learner.backend, {12}, targets);
    const Tensor weight = learner.wide(std::vector<double>(12, 1.0));
    const Tensor first = learner.parameters.make_buffer();
    const Tensor second = learner.parameters.make_buffer();
    double begun = 0;
    double loss = 0;
    for (int step = 1; step <= 300; ++step) {
      trial.phase("step ", step, " of learning one batch by heart");
      learner.parameters.begin_gradients();
      {
        Tape tape;
        const Tensor sum =
            learner.model->cross_entropy(learner.model->hidden(input), target, weight).sum;
        loss = sum.item();
        if (step == 1) begun = loss;
        tape.backward(sum);
      }
      learner.parameters.finish_gradients();
      learner.backend->adamw({.parameter = learner.parameters.master().view(),
                              .gradient = learner.parameters.gradient().view(),
                              .first = first.view(),
                              .second = second.view(),
                              .shadow = {},
                              .gradient_scale = 1.0 / 12,
                              .rate = 0.02,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .step = step});
    }
    trial.expect(loss >= 0 && loss < 0.3 * begun, "300 steps of AdamW on one batch of ", world.name,
                 " led from a loss of ", begun / 12, " to ", loss / 12);
  }
}
}  // namespace

Suite model_suite() {
  return {.kind = "model",
          .fitting = Config()
                         .with("layers", Config::integer(1))
                         .with("heads", Config::integer(2))
                         .with("width", Config::integer(8))
                         .with("hidden", Config::integer(12))
                         .with("deviation", Config::number(0.3)),
          .exercise = exercise,
          .tests = {{"builds", 1, "it builds for text or for observations", builds},
                    {"gradients", 2, "its gradients agree with central differences", gradients},
                    {"agrees", 2,
                     "score, cross_entropy and the density of moves follow from logits", agrees},
                    {"saved", 2, "its parameters are all that it has learnt", saved},
                    {"cached", 2, "decoding with a cache gives the bits of a full pass", cached},
                    {"alone", 3, "neighbours and padding change no bit", alone},
                    {"sees", 3, "it sees what causal() says", sees},
                    {"overfits", 4, "it learns one batch by heart", overfits}}};
}

}  // namespace lathe::conform
