// What objectives that learn a policy share: the policy at each place, advantages, whitening.
#pragma once

#include <lathe/learn/objective.h>

#include <span>
#include <string_view>
#include <vector>

namespace lathe {

// The policy and the values at every place of a batch: [N] each, on the tape while one records.
// Dropout is off: sampling and learning must see the same policy.
struct PolicyPass {
  Tensor log_probability;  // of the actions taken, log pi(a|s)
  Tensor entropy;
  Tensor values;  // empty unless asked for
};
PolicyPass policy_pass(const Batch& batch, const ObjectivePass& pass, double temperature,
                       bool values);

// V of what was observed after each open place: [F].
std::vector<double> open_values(const Batch& batch, const ObjectivePass& pass);

// Generalised advantage estimation (Schulman et al., 2016, eq. 16), along each row:
//   delta_t = r_t + discount_t V(s_{t+1}) - V(s_t),  A_t = delta_t + discount_t lambda A_{t+1}
// with A = 0 after the end of an episode and of the row, and V(s_{t+1}) at open places from
// `after`. Places of weight 0 have no advantage and are passed over. returns = A + V. `rewards`
// stand in for those of the batch, unless empty.
void generalised_advantages(Batch& batch, std::span<const double> after, double lambda,
                            std::span<const double> rewards = {});

// Over places with weight: (x - mean) / sqrt(variance + 1e-8) with the biased variance; without
// `shift` the mean stays (Ziegler et al., 2019).
void whiten(std::vector<double>& values, std::span<const float> weights, bool shift = true);

// A host array as a tensor [N] in the dtype of statistics.
Tensor places_tensor(const ObjectivePass& pass, const std::vector<float>& values);
Tensor places_tensor(const ObjectivePass& pass, const std::vector<double>& values);

// log pi(a|s) of the batch's actions under another model: [N].
std::vector<double> log_probabilities_under(const ModelCopy& other, const Batch& batch,
                                            const ObjectivePass& pass, double temperature);

// An estimate of KL(pi || reference) at each place from log-probabilities [N] of the actions that
// pi took, with d = log p_ref - log p (Schulman, 2020): "k1" is -d, "k2" d^2 / 2, "k3" e^d - 1 - d.
Tensor kl_estimate(const Tensor& log_probability, const Tensor& reference,
                   const std::string& estimator);

// Throws Error unless `kl`, between policy and reference in the first collection of a run, is
// exactly 0: nothing has been learnt, so the two are the same model, to the bit.
void demand_same_beginning(double kl, std::string_view objective);

// Of rows 2i and 2i+1 as pairs: 1 where any place of the two has weight, else 0.
std::vector<float> pair_weights(const Batch& batch);

// 1 - Var(returns - values) / Var(returns), over places with weight; 0 without variance.
double explained_variance(const Batch& batch);

}  // namespace lathe
