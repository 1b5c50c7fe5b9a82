// Cases of the optimizers and the other ops on flat buffers.
#include <lathe/conform/op_cases.h>

#include <array>
#include <cmath>

namespace lathe::conform {
namespace {
constexpr std::array<std::int64_t, 4> counts{0, 1, 37, 5000};

// Rates are large, so that an error in the update is no rounding error of the parameter.
OptimizerArguments arguments_of(const Operands& o, std::int64_t step) {
  return {.parameter = o["parameter"],
          .gradient = o["gradient"],
          .first = o["first"],
          .second = o["second"],
          .shadow = o["shadow"],
          .gradient_scale = 0.7,
          .rate = 0.3,
          .weight_decay = 0.2,
          .beta1 = 0.9,
          .beta2 = 0.97,
          .epsilon = 1e-3,
          .step = step,
          .nesterov = false};
}

using Adjust = std::function<void(OptimizerArguments&)>;

Case optimizer_case(const std::string& name, std::int64_t count, std::int64_t step, bool first,
                    bool second, bool shadow, void (*call)(Backend&, const OptimizerArguments&),
                    const Adjust& adjust) {
  Case test{.name = cat(name, " of ", count, " at step ", step, shadow ? " shadow" : "")};
  test.add("parameter", Kind::wide, Role::updated, {count});
  test.wide_input("gradient", {count});
  if (first) test.add("first", Kind::wide, Role::updated, {count});
  if (second) test.add("second", Kind::wide, Role::updated, {count}).low = 0;
  if (shadow) test.add("shadow", Kind::bf16, Role::output, {count});
  test.layouts = {Layout::dense};  // flat buffers
  test.wide_only = true;
  test.call = [=](Backend& b, const Operands& o) {
    OptimizerArguments arguments = arguments_of(o, step);
    if (adjust) adjust(arguments);
    call(b, arguments);
  };
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::adamw>() {
  const auto call = [](Backend& b, const OptimizerArguments& a) { b.adamw(a); };
  std::vector<Case> tests;
  for (const std::int64_t count : counts) {
    for (const std::int64_t step : {1, 2, 1000}) {
      for (const bool shadow : {false, true}) {
        tests.push_back(optimizer_case("default", count, step, true, true, shadow, call, nullptr));
      }
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::sgd>() {
  const auto call = [](Backend& b, const OptimizerArguments& a) { b.sgd(a); };
  std::vector<Case> tests;
  for (const std::int64_t count : counts) {
    for (const std::int64_t step : {1, 5}) {
      tests.push_back(optimizer_case("momentum", count, step, true, false, true, call, nullptr));
      tests.push_back(optimizer_case("nesterov", count, step, true, false, false, call,
                                     [](OptimizerArguments& a) { a.nesterov = true; }));
      tests.push_back(optimizer_case("plain", count, step, false, false, true, call,
                                     [](OptimizerArguments& a) { a.beta1 = 0; }));
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::lion>() {
  const auto call = [](Backend& b, const OptimizerArguments& a) { b.lion(a); };
  std::vector<Case> tests;
  for (const std::int64_t count : counts) {
    for (const bool shadow : {false, true}) {
      tests.push_back(optimizer_case("default", count, 3, true, false, shadow, call, nullptr));
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::sum_of_squares>() {
  std::vector<Case> tests;
  for (const std::int64_t count : {0, 1, 37, 70000}) {
    Case test{.name = cat(count)};
    test.wide_input("x", {count});
    test.wide_output("sum", {1});
    // What is left of the sum below f32: right only if it was summed in double. In f64 the order
    // of the terms shows there, and any fixed order is allowed; so it is cut at 2^-20.
    test.wide_output("rest", {1});
    test.layouts = {Layout::dense};
    test.wide_only = true;
    test.call = [](Backend& b, const Operands& o) {
      const double sum = b.sum_of_squares(o["x"]);
      b.fill(o["sum"], sum);
      const double rest = sum - static_cast<double>(static_cast<float>(sum));
      b.fill(o["rest"], std::round(rest * 0x1p20) * 0x1p-20);
    };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::interpolate>() {
  std::vector<Case> tests;
  for (const std::int64_t count : counts) {
    for (const double amount : {0.0, 0.25, 1.0}) {
      Case test{.name = cat(count, " by ", amount)};
      test.wide_input("from", {count});
      test.add("to", Kind::wide, Role::updated, {count});
      test.layouts = {Layout::dense};
      test.wide_only = true;
      test.call = [amount](Backend& b, const Operands& o) {
        b.interpolate(o["from"], amount, o["to"]);
      };
      tests.push_back(test);
    }
  }
  return tests;
}

}  // namespace lathe::conform
