// Cases of the ops that work element by element, and of reductions along axes.
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>
#include <cmath>

namespace lathe::conform {
namespace {
const std::array<Shape, 7> shapes{
    Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{17, 33}, Shape{2, 1, 3, 2, 5}};

const std::vector<Layout> every_layout{Layout::dense, Layout::sliced, Layout::transposed,
                                       Layout::inner_kept, Layout::broadcast};
// A scalar has no axis to repeat.
std::vector<Layout> layouts_for(const Shape& shape) {
  return shape.rank() == 0 ? std::vector<Layout>{Layout::dense, Layout::sliced} : every_layout;
}

Case copying(const Shape& shape, Kind from, Kind to) {
  Case test{.name = cat("kind ", from, " to ", to, " ", shape.text())};
  Operand& source = test.input("from", shape, -40, 40);
  source.kind = from;
  // Whole numbers, so that a cast to i32 has nothing to round.
  source.whole = from == Kind::index || to == Kind::index;
  test.add("to", to, Role::output, shape);
  test.layouts = layouts_for(shape);
  test.call = [](Backend& b, const Operands& o) { b.copy(o["from"], o["to"]); };
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::copy>() {
  std::vector<Case> tests;
  for (const Shape& shape : shapes) {
    for (const Kind from : {Kind::element, Kind::wide, Kind::index}) {
      for (const Kind to : {Kind::element, Kind::wide, Kind::bf16, Kind::index}) {
        tests.push_back(copying(shape, from, to));
      }
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::fill>() {
  std::vector<Case> tests;
  for (const Shape& shape : shapes) {
    Case test{.name = shape.text()};
    test.output("to", shape);
    test.layouts = layouts_for(shape);
    test.exact = true;
    test.call = [](Backend& b, const Operands& o) { b.fill(o["to"], -1.5); };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::unary>() {
  std::vector<Case> tests;
  for (int op = 0; op <= static_cast<int>(Unary::silu); ++op) {
    const auto which = static_cast<Unary>(op);
    const bool positive = which == Unary::log || which == Unary::sqrt || which == Unary::rsqrt;
    for (const Shape& shape : shapes) {
      Case test{.name = cat("number ", op, " ", shape.text())};
      test.input("x", shape, positive ? 0.1 : -5, 5);
      test.output("y", shape);
      test.layouts = layouts_for(shape);
      test.call = [which](Backend& b, const Operands& o) { b.unary(which, o["x"], o["y"]); };
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::binary>() {
  std::vector<Case> tests;
  for (int op = 0; op <= static_cast<int>(Binary::equal); ++op) {
    const auto which = static_cast<Binary>(op);
    const bool compares = which == Binary::less || which == Binary::equal;
    for (const Shape& shape : shapes) {
      Case test{.name = cat("number ", op, " ", shape.text())};
      const double low = which == Binary::power ? 0.25 : compares ? -2 : -1;
      test.input("a", shape, low, 2).whole = compares;  // so that some are equal
      test.input("b", shape, which == Binary::divide ? 0.5 : -2, 2).whole = compares;
      test.output("y", shape);
      test.layouts = layouts_for(shape);
      test.call = [which](Backend& b, const Operands& o) {
        b.binary(which, o["a"], o["b"], o["y"]);
      };
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::where>() {
  std::vector<Case> tests;
  for (const Shape& shape : shapes) {
    for (const Kind kind : {Kind::element, Kind::wide, Kind::index}) {
      Case test{.name = cat("kind ", kind, " ", shape.text())};
      Operand& condition = test.input("condition", shape, 0, 3);  // anything but 0 is true
      condition.kind = kind;
      condition.whole = true;
      test.input("a", shape);
      test.input("b", shape);
      test.output("y", shape);
      test.layouts = layouts_for(shape);
      test.exact = true;
      test.call = [](Backend& b, const Operands& o) {
        b.where(o["condition"], o["a"], o["b"], o["y"]);
      };
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::dropout>() {
  std::vector<Case> tests;
  for (const Shape& shape : shapes) {
    for (const float probability : {0.0f, 0.3f, 0.9f}) {
      Case test{.name = cat("p ", probability, " ", shape.text())};
      test.input("x", shape);
      test.target("y", shape);
      test.layouts = layouts_for(shape);
      test.zero_allowed = probability > 0.5f;
      const RandomStream random = RandomStream(3, "dropout").at(7);
      test.call = [=](Backend& b, const Operands& o) {
        b.dropout(o["x"], probability, random, o.target("y"));
      };
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::reduce>() {
  struct Extent {
    Shape from, to;
  };
  const std::array<Extent, 10> extents{Extent{{}, {}},
                                       Extent{{5}, {1}},
                                       Extent{{0}, {1}},
                                       Extent{{3, 7}, {1, 7}},
                                       Extent{{3, 7}, {3, 1}},
                                       Extent{{3, 7}, {1, 1}},
                                       Extent{{3, 7}, {3, 7}},
                                       Extent{{4, 0}, {4, 1}},
                                       Extent{{130, 67}, {1, 67}},
                                       Extent{{2, 3, 4, 2, 5}, {2, 1, 4, 1, 5}}};
  std::vector<Case> tests;
  for (const Reduce op : {Reduce::sum, Reduce::maximum}) {
    for (const auto& [from, to] : extents) {
      Case test{.name = cat("number ", op, " ", from.text(), " to ", to.text())};
      test.input("x", from);
      test.output("y", to);
      test.layouts = layouts_for(from);
      test.call = [op](Backend& b, const Operands& o) { b.reduce(op, o["x"], o["y"]); };
      tests.push_back(test);
    }
  }
  return tests;
}

namespace {
const std::array<Shape, 6> rows{Shape{1},    Shape{5},    Shape{3, 1},
                                Shape{4, 9}, Shape{0, 4}, Shape{2, 3, 2, 33}};
}  // namespace

template <>
std::vector<Case> cases<Op::softmax>() {
  std::vector<Case> tests;
  for (const Shape& shape : rows) {
    for (const double size : {1.0, 60.0}) {  // 60: exp overflows f32 without the maximum
      Case test{.name = cat("to ", size, " ", shape.text())};
      test.input("x", shape, size / 2, 2 * size);
      test.output("y", shape);
      test.layouts = every_layout;
      test.call = [](Backend& b, const Operands& o) { b.softmax(o["x"], o["y"]); };
      tests.push_back(test);
    }
  }
  Case masked{.name = "some -infinity"};
  masked.input("x", {2, 3}).values = {-INFINITY, 0.5, 0.25, 1, -INFINITY, -INFINITY};
  masked.output("y", {2, 3});
  masked.call = [](Backend& b, const Operands& o) { b.softmax(o["x"], o["y"]); };
  tests.push_back(masked);
  return tests;
}

template <>
std::vector<Case> cases<Op::softmax_gradient>() {
  std::vector<Case> tests;
  for (const Shape& shape : rows) {
    Case test{.name = shape.text()};
    test.input("x", shape, -2, 2);
    test.input("y", shape);
    test.input("dy", shape);
    test.target("dx", shape);
    test.layouts = every_layout;
    test.layouts.pop_back();  // y follows from x, so it cannot repeat by itself
    test.zero_allowed = shape[-1] == 1;
    test.prepare = [](Backend& b, const Operands& o) { b.softmax(o["x"], o["y"]); };
    test.call = [](Backend& b, const Operands& o) {
      b.softmax_gradient(o["y"], o["dy"], o.target("dx"));
    };
    test.objective = [shape](Backend& b, const Operands& o) {
      const Scratch y(b, DType::f64, shape);
      b.softmax(o["x"], y);
      return dot(y, o["dy"]);
    };
    test.gradients = {{"dx", "x"}};
    tests.push_back(test);
  }
  return tests;
}

}  // namespace lathe::conform
