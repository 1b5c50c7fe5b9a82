#include <lathe/conform/model_moves.h>
#include <lathe/tensor/ops.h>

#include <cmath>
#include <numbers>

namespace lathe::conform {
namespace {
// Actions for ten places, two numbers each.
Tensor some_moves(const Learner& learner) {
  const RandomStream random(23, "conform/moves");
  std::vector<double> moves;
  for (std::uint64_t i = 0; i < 20; ++i) moves.push_back(random.normal(i));
  return learner.wide(moves).reshape({10, 2});
}
}  // namespace

void check_move_gradients(const Trial& trial, Learner& learner) {
  const ModelInput input = learner.input(2, 5);
  const Tensor moves = some_moves(learner);
  std::vector<double> weights, others;
  for (int n = 0; n < 10; ++n) {
    weights.push_back(0.25 * (n % 4));
    others.push_back(0.3 - 0.1 * n);
  }
  const Tensor weight = learner.wide(weights), other = learner.wide(others);
  check_gradients(trial, learner, cat("density and entropy on ", learner.world.name), [&] {
    const Tensor hidden = learner.model->hidden(input);
    const HeadTokens tokens = learner.model->score_moves(hidden, moves);
    const Tensor both =
        add(multiply(tokens.log_probability, weight), multiply(tokens.entropy, other));
    return sum(add(both, multiply(learner.model->values(input, hidden), other)));
  });
}

void check_move_density(const Trial& trial, const Learner& learner) {
  const Tensor hidden = learner.model->hidden(learner.input(2, 5));
  const Tensor moves = some_moves(learner);
  const std::vector<double> means = learner.model->logits(hidden).values();
  const std::vector<double> deviations = learner.model->deviations().values();
  const std::vector<double> taken = moves.values();
  std::vector<double> densities(10), entropies(10);
  for (std::size_t i = 0; i < 20; ++i) {
    const double d = deviations[i % 2];
    const double z = (taken[i] - means[i]) / d;
    const double constant = std::log(d) + 0.5 * std::log(2 * std::numbers::pi);
    densities[i / 2] -= 0.5 * z * z + constant;
    entropies[i / 2] += 0.5 + constant;
  }
  const HeadTokens tokens = learner.model->score_moves(hidden, moves);
  trial.expect(relative_error(tokens.log_probability.values(), densities) < 1e-10,
               "score_moves is not the log-density of the Gaussians with these means and "
               "deviations");
  trial.expect(relative_error(tokens.entropy.values(), entropies) < 1e-10,
               "the entropy that score_moves gives is not that of its Gaussians");
}

}  // namespace lathe::conform
