// Cases of gather, scatter_add and the embeddings.
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>

namespace lathe::conform {
namespace {
struct Extent {
  std::int64_t N, V, C;
  std::string text() const { return Shape{N, V, C}.text(); }
};
constexpr std::array extents{Extent{1, 1, 1}, Extent{7, 4, 5}, Extent{0, 3, 4},
                             Extent{300, 17, 33}};
}  // namespace

template <>
std::vector<Case> cases<Op::gather>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    Case test{.name = of.text()};
    test.input("table", {of.V, of.C});
    test.index("index", {of.N}, -1, static_cast<double>(of.V));
    test.output("y", {of.N, of.C});
    test.exact = true;
    test.call = [](Backend& b, const Operands& o) { b.gather(o["table"], o["index"], o["y"]); };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::scatter_add>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    for (const Kind table : {Kind::wide, Kind::element}) {
      Case test{.name = cat(of.text(), table == Kind::wide ? " wide" : "")};
      test.input("rows", {of.N, of.C});
      test.zero_allowed = of.N == 0;
      test.index("index", {of.N}, -1, static_cast<double>(of.V));
      // A bf16 table may be rounded at each row that it takes.
      Operand& operand = test.add("table", table, Role::updated, {of.V, of.C});
      if (table == Kind::element) operand.roundings = 2 + static_cast<double>(of.N / of.V);
      test.call = [](Backend& b, const Operands& o) {
        b.scatter_add(o["rows"], o["index"], o["table"]);
      };
      if (table == Kind::wide) {
        // The derivative of gather: table starts from 0 there, so its own values are taken off.
        test.input("z", {of.V, of.C});
        test.wide_input("zero", {of.V, of.C}, 0, 0);
        test.prepare = [](Backend& b, const Operands& o) { b.copy(o["zero"], o["table"]); };
        test.objective = [of](Backend& b, const Operands& o) {
          const Scratch y(b, DType::f64, {of.N, of.C});
          b.gather(o["z"], o["index"], y);
          return dot(y, o["rows"]);
        };
        if (of.N < 100) test.gradients = {{"table", "z"}};
      }
      tests.push_back(test);
    }
  }
  return tests;
}

namespace {
EmbeddingArguments embedding_arguments(const Operands& o) {
  return {.tokens = o["tokens"],
          .positions = o["positions"],
          .token_table = o["token_table"],
          .position_table = o["position_table"],
          .y = o["y"]};
}

Case embedding_inputs(const Extent& of, bool positions) {
  Case test{.name = cat(of.text(), positions ? " positions" : "")};
  test.index("tokens", {of.N}, -1, static_cast<double>(of.V));
  test.input("token_table", {of.V, of.C});
  if (positions) test.index("positions", {of.N}, 0, 6);
  if (positions) test.input("position_table", {6, of.C});
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::embedding>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    for (const bool positions : {false, true}) {
      Case test = embedding_inputs(of, positions);
      test.output("y", {of.N, of.C});
      test.exact = !positions;
      test.call = [](Backend& b, const Operands& o) { b.embedding(embedding_arguments(o)); };
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::embedding_gradient>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    for (const bool positions : {false, true}) {
      Case test = embedding_inputs(of, positions);
      test.input("dy", {of.N, of.C});
      test.wide_target("dtoken", {of.V, of.C});
      if (positions) test.wide_target("dposition", {6, of.C});
      test.zero_allowed = of.N == 0;
      test.call = [](Backend& b, const Operands& o) {
        b.embedding_gradient({.tokens = o["tokens"],
                              .positions = o["positions"],
                              .dy = o["dy"],
                              .token_table = o.target("dtoken"),
                              .position_table = o.target("dposition")});
      };
      if (of.N < 100) {
        test.objective = [of](Backend& b, const Operands& o) {
          const Scratch y(b, DType::f64, {of.N, of.C});
          EmbeddingArguments arguments = embedding_arguments(o);
          arguments.y = y;
          b.embedding(arguments);
          return dot(y, o["dy"]);
        };
        test.gradients = {{"dtoken", "token_table"}};
        if (positions) test.gradients.emplace_back("dposition", "position_table");
      }
      tests.push_back(test);
    }
  }
  return tests;
}

}  // namespace lathe::conform
