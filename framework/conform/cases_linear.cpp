// Cases of matmul, linear, the norms and the gated unit.
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>

namespace lathe::conform {
namespace {
struct Product {
  Shape a, b, y;
};

Case multiplying(const Product& of, Kind result, bool exact) {
  Case test{.name = cat(of.a.text(), " ", of.b.text(), exact ? " exact" : "",
                        result == Kind::wide ? " wide" : "")};
  // Integers from -2 to 2: every sum of products below is far inside 2^24, and with bf16 operands
  // and results within 2^8 where K is small enough.
  const double size = exact ? 2 : 1;
  test.input("a", of.a, -size, size + (exact ? 1 : 0)).whole = exact;
  test.input("b", of.b, -size, size + (exact ? 1 : 0)).whole = exact;
  Operand& y = test.add("y", result, Role::target, of.y);
  y.low = -2;
  y.high = 2;
  y.whole = exact;
  test.exact = exact;
  test.zero_allowed = of.a[-1] == 0;
  test.layouts = {Layout::dense, Layout::sliced, Layout::transposed, Layout::inner_kept,
                  Layout::broadcast};
  test.call = [](Backend& b, const Operands& o) { b.matmul(o["a"], o["b"], o.target("y")); };
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::matmul>() {
  const std::array<Product, 9> products{Product{{1, 1}, {1, 1}, {1, 1}},
                                        Product{{3, 5}, {5, 7}, {3, 7}},
                                        Product{{1, 33}, {33, 9}, {1, 9}},
                                        Product{{17, 33}, {33, 1}, {17, 1}},
                                        Product{{0, 3}, {3, 2}, {0, 2}},
                                        Product{{3, 0}, {0, 4}, {3, 4}},
                                        Product{{37, 30}, {30, 35}, {37, 35}},
                                        Product{{3, 4, 5}, {3, 5, 6}, {3, 4, 6}},
                                        Product{{2, 1, 3, 4, 5}, {2, 1, 3, 5, 2}, {2, 1, 3, 4, 2}}};
  std::vector<Case> tests;
  for (const Product& product : products) {
    for (const bool exact : {false, true}) {
      tests.push_back(multiplying(product, Kind::element, exact));
      tests.push_back(multiplying(product, Kind::wide, exact));
    }
  }
  // Past one block of any kernel; the wide result so that bf16 holds the sums too.
  tests.push_back(multiplying({{67, 301}, {301, 70}, {67, 70}}, Kind::wide, true));
  return tests;
}

namespace {
struct Sizes {
  std::int64_t N, I, O;
};

LinearArguments linear_arguments(const Operands& o, Activation activation) {
  return {.x = o["x"],
          .weight = o["weight"],
          .bias = o["bias"],
          .residual = o["residual"],
          .activation = activation,
          .before = o["before"],
          .y = o["y"]};
}

Case linear_case(const Sizes& of, Activation activation, bool bias, bool residual, bool exact) {
  Case test{.name = cat(Shape{of.N, of.I, of.O}.text(), " activation ", activation,
                        bias ? " bias" : "", residual ? " residual" : "", exact ? " exact" : "")};
  test.input("x", {of.N, of.I}, -1, exact ? 2 : 1).whole = exact;
  test.input("weight", {of.O, of.I}, -1, exact ? 2 : 1).whole = exact;
  if (bias) test.wide_input("bias", {of.O}, -2, 2).whole = exact;
  if (residual) test.input("residual", {of.N, of.O}, -2, 2).whole = exact;
  if (activation != Activation::none) test.output("before", {of.N, of.O});
  // Its own rounding, and that of `before` where the activation is taken of the stored value.
  test.output("y", {of.N, of.O}).roundings = 2;
  test.exact = exact;
  test.call = [activation](Backend& b, const Operands& o) {
    b.linear(linear_arguments(o, activation));
  };
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::linear>() {
  constexpr std::array sizes{Sizes{1, 1, 1}, Sizes{3, 5, 7}, Sizes{0, 4, 3}, Sizes{17, 33, 20}};
  std::vector<Case> tests;
  for (const Sizes& of : sizes) {
    for (const Activation activation : {Activation::none, Activation::gelu_tanh,
                                        Activation::gelu_erf, Activation::relu, Activation::silu}) {
      for (const bool bias : {false, true}) {
        for (const bool residual : {false, true}) {
          tests.push_back(linear_case(of, activation, bias, residual, false));
        }
      }
    }
    tests.push_back(linear_case(of, Activation::none, true, true, true));
    tests.push_back(linear_case(of, Activation::relu, true, true, true));
  }
  tests.push_back(linear_case({131, 70, 65}, Activation::gelu_tanh, true, true, false));
  tests.push_back(linear_case({131, 120, 65}, Activation::none, true, true, true));
  return tests;
}

namespace {
Case linear_gradient_case(const Sizes& of, Activation activation, bool exact,
                          std::string_view wanted) {
  Case test{.name = cat(Shape{of.N, of.I, of.O}.text(), " activation ", activation, " for ", wanted,
                        exact ? " exact" : "")};
  const auto wants = [&](std::string_view what) { return wanted.find(what) != wanted.npos; };
  test.input("x", {of.N, of.I}, -1, exact ? 2 : 1).whole = exact;
  test.input("weight", {of.O, of.I}, -1, exact ? 2 : 1).whole = exact;
  test.wide_input("bias", {of.O});
  if (activation != Activation::none) test.input("before", {of.N, of.O}, -3, 3);
  test.input("dy", {of.N, of.O}, -1, exact ? 2 : 1).whole = exact;
  // The gradient of `before` may be held in bf16.
  if (wants("dx")) test.target("dx", {of.N, of.I}).roundings = 2;
  if (wants("dweight")) test.wide_target("dweight", {of.O, of.I}).roundings = 1;
  if (wants("dbias")) test.wide_target("dbias", {of.O}).roundings = 1;
  for (Operand& operand : test.operands) operand.whole |= exact && operand.role == Role::target;
  test.exact = exact;
  test.zero_allowed = of.N == 0;
  test.prepare = [of, activation](Backend& b, const Operands& o) {
    const Scratch y(b, DType::f64, {of.N, of.O});
    LinearArguments arguments = linear_arguments(o, activation);
    arguments.y = y;
    b.linear(arguments);
  };
  test.call = [activation](Backend& b, const Operands& o) {
    b.linear_gradient({.x = o["x"],
                       .weight = o["weight"],
                       .activation = activation,
                       .before = o["before"],
                       .dy = o["dy"],
                       .dx = o.target("dx"),
                       .dweight = o.target("dweight"),
                       .dbias = o.target("dbias")});
  };
  if (exact || activation == Activation::relu) return test;  // relu has a kink
  test.objective = [of, activation](Backend& b, const Operands& o) {
    const Scratch y(b, DType::f64, {of.N, of.O});
    LinearArguments arguments = linear_arguments(o, activation);
    arguments.before = View{};
    arguments.y = y;
    b.linear(arguments);
    return dot(y, o["dy"]);
  };
  if (wants("dx")) test.gradients.emplace_back("dx", "x");
  if (wants("dweight")) test.gradients.emplace_back("dweight", "weight");
  if (wants("dbias")) test.gradients.emplace_back("dbias", "bias");
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::linear_gradient>() {
  constexpr std::array sizes{Sizes{1, 1, 1}, Sizes{5, 3, 7}, Sizes{0, 4, 3}, Sizes{19, 10, 6}};
  std::vector<Case> tests;
  for (const Sizes& of : sizes) {
    for (const Activation activation : {Activation::none, Activation::gelu_tanh,
                                        Activation::gelu_erf, Activation::relu, Activation::silu}) {
      tests.push_back(linear_gradient_case(of, activation, false, "dx dweight dbias"));
    }
    for (const std::string_view wanted : {"dx", "dweight", "dbias", "dweight dbias"}) {
      tests.push_back(linear_gradient_case(of, Activation::silu, false, wanted));
      tests.push_back(linear_gradient_case(of, Activation::none, false, wanted));
    }
    tests.push_back(linear_gradient_case(of, Activation::none, true, "dx dweight dbias"));
  }
  // More rows than one block of a kernel that sums over them.
  tests.push_back(linear_gradient_case({300, 35, 34}, Activation::none, true, "dx dweight dbias"));
  tests.push_back(linear_gradient_case({613, 7, 5}, Activation::none, true, "dx dweight dbias"));
  return tests;
}

namespace {
struct NormCase {
  Norm kind;
  std::int64_t N, C;
  bool residual, bias;

  std::string text() const {
    return cat(kind == Norm::layer ? "layer " : "rms ", Shape{N, C}.text(),
               residual ? " residual" : "", bias ? " bias" : "");
  }
};

std::vector<NormCase> norm_cases() {
  std::vector<NormCase> list;
  for (const Norm kind : {Norm::layer, Norm::rms}) {
    for (const bool residual : {false, true}) {
      for (const bool bias : {false, true}) {
        list.push_back({kind, 3, 8, residual, bias});
        list.push_back({kind, 1, 3, residual, bias});
        list.push_back({kind, 0, 5, residual, bias});
        list.push_back({kind, 21, 37, residual, bias});
      }
    }
    list.push_back({kind, 300, 40, true, true});
  }
  return list;
}

NormArguments norm_arguments(const NormCase& of, const Operands& o) {
  return {.kind = of.kind,
          .epsilon = 1e-5,
          .x = o["x"],
          .residual = o["residual"],
          .weight = o["weight"],
          .bias = o["bias"],
          .sum = o["sum"],
          .y = o["y"],
          .mean = o["mean"],
          .rstd = o["rstd"]};
}
}  // namespace

template <>
std::vector<Case> cases<Op::norm>() {
  std::vector<Case> tests;
  for (const NormCase& of : norm_cases()) {
    Case test{.name = of.text()};
    test.input("x", {of.N, of.C}, -1, 2);
    if (of.residual) test.input("residual", {of.N, of.C}, -2, 1);
    test.wide_input("weight", {of.C}, 0.5, 1.5);
    if (of.bias) test.wide_input("bias", {of.C});
    if (of.residual) test.output("sum", {of.N, of.C});
    // The statistics may be those of the sum as it is stored.
    test.output("y", {of.N, of.C}).roundings = of.residual ? 2 : 1;
    // The elements of the sum may cancel in their mean, their roundings do not.
    if (of.kind == Norm::layer) test.wide_output("mean", {of.N}).roundings = of.residual ? 4 : 0;
    test.wide_output("rstd", {of.N}).roundings = of.residual ? 1 : 0;
    test.call = [of](Backend& b, const Operands& o) { b.norm(norm_arguments(of, o)); };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::norm_gradient>() {
  std::vector<Case> tests;
  for (const NormCase& of : norm_cases()) {
    Case test{.name = of.text()};
    test.input("sum", {of.N, of.C}, -1, 2);
    test.wide_input("weight", {of.C}, 0.5, 1.5);
    if (of.kind == Norm::layer) test.wide_input("mean", {of.N});
    test.wide_input("rstd", {of.N});
    test.input("dy", {of.N, of.C});
    if (of.residual) test.input("dsum", {of.N, of.C});
    test.target("dx", {of.N, of.C});
    test.wide_target("dweight", {of.C});
    if (of.bias) test.wide_target("dbias", {of.C});
    if (of.bias) test.wide_input("bias", {of.C});
    test.zero_allowed = of.N == 0;
    const auto forward = [of](Backend& b, const Operands& o, const View& y, bool statistics) {
      NormArguments arguments = norm_arguments(of, o);
      arguments.x = o["sum"];
      arguments.sum = View{};
      arguments.y = y;
      const Scratch unread(b, DType::f64, {of.N});
      if (!statistics) arguments.mean = arguments.rstd = unread;
      b.norm(arguments);
    };
    test.prepare = [=](Backend& b, const Operands& o) {
      forward(b, o, Scratch(b, DType::f64, {of.N, of.C}), true);
    };
    test.call = [of](Backend& b, const Operands& o) {
      b.norm_gradient({.kind = of.kind,
                       .sum = o["sum"],
                       .weight = o["weight"],
                       .mean = o["mean"],
                       .rstd = o["rstd"],
                       .dy = o["dy"],
                       .dsum = o["dsum"],
                       .dx = o.target("dx"),
                       .dweight = o.target("dweight"),
                       .dbias = o.target("dbias")});
    };
    if (of.N < 100) {
      test.objective = [=](Backend& b, const Operands& o) {
        const Scratch y(b, DType::f64, {of.N, of.C});
        forward(b, o, y, false);
        return dot(y, o["dy"]) + (of.residual ? dot(o["sum"], o["dsum"]) : 0);
      };
      test.gradients = {{"dx", "sum"}, {"dweight", "weight"}};
      if (of.bias) test.gradients.emplace_back("dbias", "bias");
    }
    tests.push_back(test);
  }
  return tests;
}

namespace {
constexpr std::array gated{std::pair{1, 1}, std::pair{3, 5}, std::pair{0, 4}, std::pair{37, 65}};
}

template <>
std::vector<Case> cases<Op::swiglu>() {
  std::vector<Case> tests;
  for (const auto& [N, F] : gated) {
    Case test{.name = Shape{N, F}.text()};
    test.input("x", {N, 2 * F}, -4, 4);
    test.output("y", {N, F});
    test.call = [](Backend& b, const Operands& o) { b.swiglu(o["x"], o["y"]); };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::swiglu_gradient>() {
  std::vector<Case> tests;
  for (const auto& [N, F] : gated) {
    Case test{.name = Shape{N, F}.text()};
    test.input("x", {N, 2 * F}, -4, 4);
    test.input("dy", {N, F});
    test.target("dx", {N, 2 * F});
    test.call = [](Backend& b, const Operands& o) {
      b.swiglu_gradient(o["x"], o["dy"], o.target("dx"));
    };
    const Shape result{N, F};
    test.objective = [result](Backend& b, const Operands& o) {
      const Scratch y(b, DType::f64, result);
      b.swiglu(o["x"], y);
      return dot(y, o["dy"]);
    };
    test.gradients = {{"dx", "x"}};
    if (N > 30) test.objective = nullptr;
    tests.push_back(test);
  }
  return tests;
}

}  // namespace lathe::conform
