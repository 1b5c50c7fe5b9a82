// Cases of attention, its cache and rotary positions.
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>

namespace lathe::conform {
namespace {
struct AttentionCase {
  std::string text;
  std::int64_t B = 2, T = 5, H = 2, D = 4, S = 5, G = 2;
  bool causal = true;
  std::vector<double> offset{};                  // [B] or empty
  std::vector<double> q_segment{}, k_segment{};  // [B T], [B S] or empty
  float dropout = 0;
};

std::vector<AttentionCase> attention_cases() {
  return {
      {.text = "one of all", .B = 1, .T = 1, .H = 1, .D = 1, .S = 1, .G = 1},
      {.text = "causal"},
      {.text = "causal, heads share keys", .T = 7, .H = 6, .D = 3, .S = 7, .G = 2},
      {.text = "all heads share one key head", .H = 4, .G = 1},
      {.text = "bidirectional", .causal = false},
      {.text = "cross, more keys", .T = 3, .S = 11, .causal = false},
      {.text = "cross, fewer keys", .T = 9, .S = 4, .causal = false},
      {.text = "decode, one query", .T = 1, .H = 4, .S = 9, .offset = {8, 3}},
      {.text = "decode, some queries", .T = 3, .S = 9, .offset = {6, 1}},
      {.text = "packed documents",
       .q_segment = {0, 0, 1, 1, 1, 0, 1, 1, 2, 2},
       .k_segment = {0, 0, 1, 1, 1, 0, 1, 1, 2, 2}},
      {.text = "padding, and a query that sees nothing",
       .q_segment = {0, 0, 0, -1, -1, 4, 0, 0, 0, -1},
       .k_segment = {0, 0, 0, -1, -1, 0, 0, 0, 0, -1}},
      {.text = "bidirectional with padding",
       .causal = false,
       .q_segment = {0, 0, 0, -1, -1, 0, 0, 0, 0, 0},
       .k_segment = {0, 0, 0, -1, -1, 0, 0, 0, 0, 0}},
      {.text = "dropout", .H = 4, .dropout = 0.4f},
      {.text = "dropout, bidirectional", .T = 3, .S = 8, .causal = false, .dropout = 0.25f},
      {.text = "no queries", .T = 0},
      {.text = "past one block", .B = 1, .T = 70, .H = 3, .D = 16, .S = 70, .G = 3},
      {.text = "past one block of keys",
       .B = 2,
       .T = 33,
       .H = 2,
       .D = 8,
       .S = 131,
       .G = 1,
       .offset = {98, 40},
       .dropout = 0.1f},
  };
}

void add_inputs(Case& test, const AttentionCase& of) {
  test.input("q", {of.B, of.T, of.H, of.D}, -2, 2);
  test.input("k", {of.B, of.S, of.G, of.D}, -2, 2);
  test.input("v", {of.B, of.S, of.G, of.D});
  if (!of.offset.empty()) test.fixed("offset", of.offset);
  if (of.q_segment.empty()) return;
  test.fixed("q_segment", of.q_segment).shape = {of.B, of.T};
  test.fixed("k_segment", of.k_segment).shape = {of.B, of.S};
}

AttentionArguments arguments_of(const AttentionCase& of, const Operands& o) {
  return {.q = o["q"],
          .k = o["k"],
          .v = o["v"],
          .y = o["y"],
          .lse = o["lse"],
          .scale = 0.6,
          .causal = of.causal,
          .offset = o["offset"],
          .q_segment = o["q_segment"],
          .k_segment = o["k_segment"],
          .dropout = of.dropout,
          .random = RandomStream(11, "attention").at(3)};
}

// The interface wants the D values of a head together.
const std::vector<Layout> head_layouts{Layout::dense, Layout::sliced, Layout::inner_kept};
}  // namespace

template <>
std::vector<Case> cases<Op::attention>() {
  std::vector<Case> tests;
  for (const AttentionCase& of : attention_cases()) {
    Case test{.name = of.text};
    add_inputs(test, of);
    // The weights may be rounded for their product with v.
    test.output("y", {of.B, of.T, of.H, of.D}).roundings = 2;
    test.wide_output("lse", {of.B, of.H, of.T});
    test.layouts = head_layouts;
    test.call = [of](Backend& b, const Operands& o) { b.attention(arguments_of(of, o)); };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::attention_gradient>() {
  std::vector<Case> tests;
  for (const AttentionCase& of : attention_cases()) {
    for (const std::string_view wanted : {"dq dk dv", "dq", "dk dv"}) {
      if (of.T > 30 && wanted != "dq dk dv") continue;
      Case test{.name = cat(of.text, " for ", wanted)};
      const auto wants = [&](std::string_view what) { return wanted.find(what) != wanted.npos; };
      add_inputs(test, of);
      test.input("y", {of.B, of.T, of.H, of.D});
      test.wide_input("lse", {of.B, of.H, of.T});
      test.input("dy", {of.B, of.T, of.H, of.D});
      // The weights, their gradient and y (from which the mean gradient may be taken) are rounded.
      if (wants("dq")) test.target("dq", {of.B, of.T, of.H, of.D}).roundings = 4;
      if (wants("dk")) test.target("dk", {of.B, of.S, of.G, of.D}).roundings = 4;
      if (wants("dv")) test.target("dv", {of.B, of.S, of.G, of.D}).roundings = 2;
      test.layouts = head_layouts;
      test.zero_allowed = of.T == 0;
      test.prepare = [of](Backend& b, const Operands& o) { b.attention(arguments_of(of, o)); };
      test.call = [of](Backend& b, const Operands& o) {
        b.attention_gradient({.forward = arguments_of(of, o),
                              .dy = o["dy"],
                              .dq = o.target("dq"),
                              .dk = o.target("dk"),
                              .dv = o.target("dv")});
      };
      if (of.T <= 30 && wanted == "dq dk dv") {
        test.objective = [of](Backend& b, const Operands& o) {
          const Scratch y(b, DType::f64, {of.B, of.T, of.H, of.D});
          const Scratch lse(b, DType::f64, {of.B, of.H, of.T});
          AttentionArguments arguments = arguments_of(of, o);
          arguments.y = y;
          arguments.lse = lse;
          b.attention(arguments);
          return dot(y, o["dy"]);
        };
        test.gradients = {{"dq", "q"}, {"dk", "k"}, {"dv", "v"}};
      }
      tests.push_back(test);
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::kv_append>() {
  struct Extent {
    std::int64_t B, T, G, D, S;
    std::vector<double> position;
  };
  std::vector<Case> tests;
  for (const Extent& of : {Extent{1, 1, 1, 1, 1, {0}}, Extent{2, 1, 3, 4, 6, {5, 0}},
                           Extent{3, 4, 2, 5, 9, {0, 5, 2}}, Extent{2, 0, 2, 4, 3, {3, 0}}}) {
    Case test{.name = Shape{of.B, of.T, of.G, of.D, of.S}.text()};
    test.input("x", {of.B, of.T, of.G, of.D});
    test.fixed("position", of.position);
    test.add("cache", Kind::element, Role::updated, {of.B, of.S, of.G, of.D});
    test.exact = true;
    test.layouts = head_layouts;
    test.call = [](Backend& b, const Operands& o) {
      b.kv_append(o["x"], o["position"], o["cache"]);
    };
    tests.push_back(test);
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::rotary>() {
  struct Extent {
    std::int64_t N, H, D;
    double base;
  };
  std::vector<Case> tests;
  for (const Extent& of : {Extent{1, 1, 2, 10000}, Extent{7, 3, 8, 10000}, Extent{5, 2, 6, 500000},
                           Extent{0, 2, 4, 10000}, Extent{65, 4, 32, 10000}}) {
    for (const bool inverse : {false, true}) {
      Case test{.name = cat(Shape{of.N, of.H, of.D}.text(), inverse ? " inverse" : "")};
      test.input("x", {of.N, of.H, of.D});
      test.index("positions", {of.N}, 0, 2000);
      test.target("y", {of.N, of.H, of.D});
      test.layouts = head_layouts;
      const auto call = [of](Backend& b, const View& x, const View& positions, bool back,
                             const Target& y) {
        b.rotary({.x = x, .positions = positions, .base = of.base, .inverse = back, .y = y});
      };
      test.call = [=](Backend& b, const Operands& o) {
        call(b, o["x"], o["positions"], inverse, o.target("y"));
      };
      if (of.N < 60) {
        // The inverse on dy = x is the derivative by a z of the dot product of dy and rotary(z).
        test.input("z", {of.N, of.H, of.D});
        test.objective = [=](Backend& b, const Operands& o) {
          const Scratch y(b, DType::f64, {of.N, of.H, of.D});
          call(b, o["z"], o["positions"], !inverse, {y, false});
          return dot(y, o["x"]);
        };
        test.gradients = {{"y", "z"}};
      }
      tests.push_back(test);
    }
  }
  return tests;
}

}  // namespace lathe::conform
