// What the tests of this room share: tensors on the reference backend in f64, and gradients held
// against central differences.
#pragma once

#include <lathe/config/toml.h>
#include <lathe/plugin/registry.h>
#include <lathe/tensor/ops.h>

#include <gtest/gtest.h>
#include <cmath>
#include <functional>

namespace lathe::testing_tensors {

inline std::shared_ptr<Backend> backend_named(const std::string& name) {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  return registry.create<Backend>(name, parse_toml("", "tensor_test"));
}
inline const std::shared_ptr<Backend>& reference() {
  static const std::shared_ptr<Backend> backend = backend_named("reference");
  return backend;
}

using Values = std::vector<double>;

inline Tensor tensor(const Shape& shape, const Values& values) {
  return Tensor::of<double>(reference(), shape, values);
}
inline Tensor integers(const Shape& shape, const std::vector<std::int32_t>& values) {
  return Tensor::of<std::int32_t>(reference(), shape, values);
}
inline Tensor random_tensor(const Shape& shape, const char* name, double low = -1,
                            double high = 1) {
  const RandomStream stream(7, name);
  Values values;
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const double share = stream.uniform53(static_cast<std::uint64_t>(i));
    values.push_back(low + share * (high - low));
  }
  return tensor(shape, values);
}

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// A scalar of the function's result in which every element counts differently.
inline Tensor objective(const Function& function, const std::vector<Tensor>& inputs) {
  const Tensor y = function(inputs);
  if (y.count() == 1) return y;
  return sum(multiply(y, random_tensor(y.shape(), "objective", 0.5, 1.5)));
}

// The gradient of every input within 1e-6 of central differences, by the norm. Inputs are dense.
inline void check_gradients(const std::string& what, const Function& function,
                            std::vector<Tensor> inputs) {
  SCOPED_TRACE(what);
  for (Tensor& input : inputs) input = leaf(input);
  {
    Tape tape;
    tape.backward(objective(function, inputs));
  }
  for (std::size_t which = 0; which < inputs.size(); ++which) {
    const Tensor gradient = gradient_of(inputs[which]);
    ASSERT_TRUE(gradient) << "input " << which << " got no gradient";
    ASSERT_EQ(gradient.shape().text(), inputs[which].shape().text());
    const Values got = gradient.values();
    double error = 0;
    double norm = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      constexpr double step = 1e-5;
      double& element = inputs[which].view().as<double>()[i];
      const double before = element;
      element = before + step;
      const double above = objective(function, inputs).item();
      element = before - step;
      const double below = objective(function, inputs).item();
      element = before;
      const double slope = (above - below) / (2 * step);
      error += (got[i] - slope) * (got[i] - slope);
      norm += slope * slope;
    }
    EXPECT_GT(norm, 0) << "input " << which << ": the case shows nothing";
    EXPECT_LE(std::sqrt(error), 1e-6 * std::sqrt(norm) + 1e-10) << "input " << which;
  }
}

template <class F>
std::string error_of(const F& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lathe::testing_tensors
