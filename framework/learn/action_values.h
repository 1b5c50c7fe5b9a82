// What objectives that learn action values share: the values of the places of a batch, the returns
// that follow from them, and the loss of a temporal difference.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/learn/objective.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// Q(s, .) of several places in host memory: [M, A].
struct ActionValues {
  std::vector<double> all;
  std::int64_t actions = 0;  // A

  std::int64_t places() const { return static_cast<std::int64_t>(all.size()) / actions; }
  std::span<const double> row(std::int64_t place) const;
};

// Off the tape: of all places of the batch, [N, A]; of its open observations, [F, A].
ActionValues action_values(const Model& model, const Parameters& parameters, const Batch& batch);
ActionValues open_action_values(const Model& model, const Parameters& parameters,
                                const Batch& batch);

// An Error that says what is missing, where the batch holds nothing that was lived through.
void demand_experience(const Batch& batch, const char* objective);
// The same, and where its actions are numbers, of which none can be the best of all.
void demand_choices(const Batch& batch, const char* objective);

double largest(std::span<const double> values);
std::int64_t first_largest(std::span<const double> values);
// sum_a p(a) Q(a) under the rule: epsilon-greedy with the greedy share split over ties, or
// softmax(Q / temperature).
double expected_value(std::span<const double> values, const ActingRule& rule);

// The value of each place's successor, [N]: `inside(n)` of the place n of the batch, where that is
// the successor; `open(f)` where the successor is open observation f; 0 after an episode's end.
template <class Inside, class Open>
std::vector<double> successor_values(const Batch& batch, const Inside& inside, const Open& open) {
  std::vector<double> values(static_cast<std::size_t>(batch.rows * batch.length));
  const Experience& lived = batch.experience;
  std::size_t f = 0;
  for (std::int64_t n = 0; n < batch.rows * batch.length; ++n) {
    const auto place = static_cast<std::size_t>(n);
    const bool is_open = f < lived.open_places.size() && lived.open_places[f] == n;
    if (is_open) {
      if (lived.discounts[place] != 0) values[place] = open(static_cast<std::int64_t>(f));
      ++f;
    } else if (lived.terminated[place] == 0 && (n + 1) % batch.length != 0) {
      values[place] = inside(n + 1);
    }
  }
  return values;
}

// Lambda-returns by the forward view, within each row (Sutton and Barto, 2018, eq. 12.2 in the
// recursive form of van Seijen et al., 2016):
//   G_t = r_t + d_t ((1 - lambda) v_t + lambda G_(t+1)),  v_t: value of the successor of t;
// at places where an episode ends, or whose successor is open, G_t = r_t + d_t v_t.
std::vector<double> lambda_returns(const Batch& batch, std::span<const double> successors,
                                   double lambda);

// The shape of the loss of a temporal difference.
struct DifferenceShape {
  bool huber = false;
  double huber_width = 1;
};

// sum over places of w_n l(G_n - Q(s_n, a_n)), w: weight of the place times that of its row in the
// replay; l(d) = d^2 / 2, or Huber's: d^2 / 2 up to a width k, then k (|d| - k / 2). The gradient
// reaches Q alone, not the returns G (Experience::returns): a semi-gradient. With squares and
// stochastic gradient descent a step is Q += rate (G - Q).
// Metrics: td_error (mean |d|), action_value (mean Q). Priorities: mean |d| of each row.
Loss difference_loss(const Batch& batch, const ObjectivePass& pass, const DifferenceShape& shape);
// The same with Q of a form of one's own, on the tape, and with its returns G: [N] each.
Loss difference_loss(const Batch& batch, const ObjectivePass& pass, const DifferenceShape& shape,
                     const Tensor& values, const Tensor& returns);

}  // namespace lathe
