#include <cmath>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
// Runs step(i, parameter, gradient) -> new parameter for each element, and refreshes the shadow.
template <class T, class Step>
void for_each_parameter(const OptimizerArguments& arguments, Step step) {
  const At<T> parameter(arguments.parameter), gradient(arguments.gradient);
  const At<bf16> shadow(arguments.shadow);
  for (std::int64_t i = 0; i < arguments.parameter.shape[0]; ++i) {
    parameter(i) = step(i, parameter(i), gradient(i) * arguments.gradient_scale);
    if (shadow) shadow(i) = parameter(i);
  }
}
}  // namespace

// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= rate decay p;
// p -= rate / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
void ReferenceBackend::adamw(const OptimizerArguments& arguments) {
  const double b1 = arguments.beta1;
  const double b2 = arguments.beta2;
  const double first_bias = 1 - std::pow(b1, static_cast<double>(arguments.step));
  const double second_bias = std::sqrt(1 - std::pow(b2, static_cast<double>(arguments.step)));
  for_floating(arguments.parameter.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> first(arguments.first), second(arguments.second);
    for_each_parameter<T>(arguments, [&](std::int64_t i, double p, double g) {
      const double m = b1 * first(i) + (1 - b1) * g;
      const double v = b2 * second(i) + (1 - b2) * g * g;
      first(i) = m;
      second(i) = v;
      const double decayed = p * (1 - arguments.rate * arguments.weight_decay);
      const double scale = std::sqrt(v) / second_bias + arguments.epsilon;
      return decayed - arguments.rate / first_bias * m / scale;
    });
  });
}

// g += decay p; momentum: m = b m + g (m = g on the first step), then m or, Nesterov, g + b m.
void ReferenceBackend::sgd(const OptimizerArguments& arguments) {
  const double momentum = arguments.beta1;
  for_floating(arguments.parameter.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> first(arguments.first);
    for_each_parameter<T>(arguments, [&](std::int64_t i, double p, double g) {
      g += arguments.weight_decay * p;
      double direction = g;
      if (momentum != 0) {
        const double m = arguments.step == 1 ? g : momentum * first(i) + g;
        first(i) = m;
        direction = arguments.nesterov ? g + momentum * m : m;
      }
      return p - arguments.rate * direction;
    });
  });
}

// p = p (1 - rate decay) - rate sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g
void ReferenceBackend::lion(const OptimizerArguments& arguments) {
  const double b1 = arguments.beta1;
  const double b2 = arguments.beta2;
  for_floating(arguments.parameter.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> first(arguments.first);
    for_each_parameter<T>(arguments, [&](std::int64_t i, double p, double g) {
      const double c = b1 * first(i) + (1 - b1) * g;
      first(i) = b2 * first(i) + (1 - b2) * g;
      const double sign = (c > 0) - (c < 0);
      return p * (1 - arguments.rate * arguments.weight_decay) - arguments.rate * sign;
    });
  });
}

double ReferenceBackend::sum_of_squares(const View& x) {
  double sum = 0;
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x);
    for_each(x.shape, [&](const Index& i) { sum += in[i] * in[i]; });
  });
  return sum;
}

void ReferenceBackend::interpolate(const View& from, double amount, const View& to) {
  for_floating(to.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> goal(from), at(to);
    for_each(to.shape, [&](const Index& i) { at[i] = at[i] + amount * (goal[i] - at[i]); });
  });
}

}  // namespace lathe
