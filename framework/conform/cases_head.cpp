// Cases of the LM head with its losses.
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>

namespace lathe::conform {
namespace {
struct Extent {
  std::int64_t N, C, V;
  std::string text() const { return Shape{N, C, V}.text(); }
};
// The last: past one block of rows and of any kernel's vocabulary.
constexpr std::array extents{Extent{1, 1, 2}, Extent{7, 5, 11}, Extent{0, 4, 3},
                             Extent{300, 6, 70}};

// For bf16: a backend may hold a block of logits in bf16, before and after the temperature. That is
// an error of about its own size in what is read off them, and, as dp = p dl with logits of about 3
// here, of three times that in their gradient, which may be rounded too.
constexpr double of_logits = 2;
constexpr double of_gradient = 3 * of_logits + 1;

// Targets from -1: some rows do not count.
void add_inputs(Case& test, const Extent& of) {
  test.input("x", {of.N, of.C}, -2, 2);
  test.input("weight", {of.V, of.C}, -2, 2);
  test.index("targets", {of.N}, of.N == 1 ? 0 : -1, static_cast<double>(of.V));
}

HeadLossArguments loss_arguments(const Operands& o, double smoothing, double z_loss) {
  return {.x = o["x"],
          .weight = o["weight"],
          .targets = o["targets"],
          .weights = o["weights"],
          .smoothing = smoothing,
          .z_loss = z_loss,
          .loss = o["loss"],
          .lse = o["lse"],
          .dx = o.target("dx"),
          .dweight = o.target("dweight")};
}

Case loss_case(const Extent& of, double smoothing, double z_loss, std::string_view wanted) {
  Case test{.name = cat(of.text(), " smoothing ", smoothing, " z ", z_loss, " for ", wanted)};
  add_inputs(test, of);
  test.wide_input("weights", {of.N}, 0, 2);
  test.wide_output("loss", {of.N}).roundings = of_logits;
  test.wide_output("lse", {of.N}).roundings = of_logits;
  const auto wants = [&](std::string_view what) { return wanted.find(what) != wanted.npos; };
  if (wants("dx")) test.target("dx", {of.N, of.C}).roundings = of_gradient + 1;
  if (wants("dweight")) test.wide_target("dweight", {of.V, of.C}).roundings = of_gradient;
  test.zero_allowed = of.N == 0;
  test.call = [=](Backend& b, const Operands& o) {
    b.head_loss(loss_arguments(o, smoothing, z_loss));
  };
  if (of.N > 100) return test;
  test.objective = [=](Backend& b, const Operands& o) {
    const Scratch loss(b, DType::f64, {of.N});
    const Scratch lse(b, DType::f64, {of.N});
    HeadLossArguments arguments = loss_arguments(o, smoothing, z_loss);
    arguments.loss = loss;
    arguments.lse = lse;
    arguments.dx = arguments.dweight = Target{};
    b.head_loss(arguments);
    return dot(loss, o["weights"]);
  };
  if (wants("dx")) test.gradients.emplace_back("dx", "x");
  if (wants("dweight")) test.gradients.emplace_back("dweight", "weight");
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::head_loss>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    if (of.N > 100) {
      tests.push_back(loss_case(of, 0.2, 0.01, "dx dweight"));
      continue;
    }
    for (const auto& [smoothing, z_loss] :
         {std::pair{0.0, 0.0}, std::pair{0.1, 0.0}, std::pair{0.0, 0.02}, std::pair{0.2, 0.01}}) {
      tests.push_back(loss_case(of, smoothing, z_loss, "dx dweight"));
    }
    for (const std::string_view wanted : {"nothing", "dx", "dweight"}) {
      tests.push_back(loss_case(of, 0.1, 0.01, wanted));
    }
  }
  return tests;
}

namespace {
HeadTokensArguments tokens_arguments(const Operands& o, double temperature) {
  return {.x = o["x"],
          .weight = o["weight"],
          .targets = o["targets"],
          .temperature = temperature,
          .log_probability = o["log_probability"],
          .lse = o["lse"],
          .entropy = o["entropy"]};
}
}  // namespace

template <>
std::vector<Case> cases<Op::head_tokens>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    for (const double temperature : {1.0, 0.6}) {
      for (const bool entropy : {true, false}) {
        Case test{.name = cat(of.text(), " T ", temperature, entropy ? " entropy" : "")};
        add_inputs(test, of);
        test.wide_output("log_probability", {of.N}).roundings = of_logits;
        test.wide_output("lse", {of.N}).roundings = of_logits;
        if (entropy) test.wide_output("entropy", {of.N}).roundings = of_logits;
        test.call = [=](Backend& b, const Operands& o) {
          b.head_tokens(tokens_arguments(o, temperature));
        };
        tests.push_back(test);
      }
    }
  }
  return tests;
}

template <>
std::vector<Case> cases<Op::head_tokens_gradient>() {
  std::vector<Case> tests;
  for (const Extent& of : extents) {
    for (const double temperature : {1.0, 0.6}) {
      for (const bool entropy : {true, false}) {
        if (of.N > 100 && (!entropy || temperature == 1)) continue;
        Case test{.name = cat(of.text(), " T ", temperature, entropy ? " entropy" : "")};
        add_inputs(test, of);
        test.wide_input("log_probability", {of.N});
        test.wide_input("lse", {of.N});
        test.wide_input("entropy", {of.N});
        test.wide_input("dlog_probability", {of.N});
        if (entropy) test.wide_input("dentropy", {of.N});
        // The exact lse beside logits in bf16 makes a row of p not quite 1 in sum. That shows where
        // the words of a small vocabulary nearly cancel.
        test.target("dx", {of.N, of.C}).roundings = (of.V == 2 ? 6 : 1) * of_gradient + 1;
        test.wide_target("dweight", {of.V, of.C}).roundings = of_gradient;
        test.zero_allowed = of.N == 0;
        test.prepare = [=](Backend& b, const Operands& o) {
          b.head_tokens(tokens_arguments(o, temperature));
        };
        test.call = [=](Backend& b, const Operands& o) {
          b.head_tokens_gradient({.forward = tokens_arguments(o, temperature),
                                  .dlog_probability = o["dlog_probability"],
                                  .dentropy = o["dentropy"],
                                  .dx = o.target("dx"),
                                  .dweight = o.target("dweight")});
        };
        if (of.N < 100) {
          test.objective = [=](Backend& b, const Operands& o) {
            const Scratch chosen(b, DType::f64, {of.N});
            const Scratch lse(b, DType::f64, {of.N});
            const Scratch spread(b, DType::f64, {of.N});
            HeadTokensArguments arguments = tokens_arguments(o, temperature);
            arguments.log_probability = chosen;
            arguments.lse = lse;
            arguments.entropy = spread;
            b.head_tokens(arguments);
            return dot(chosen, o["dlog_probability"]) + (entropy ? dot(spread, o["dentropy"]) : 0);
          };
          test.gradients = {{"dx", "x"}, {"dweight", "weight"}};
        }
        tests.push_back(test);
      }
    }
  }
  return tests;
}

}  // namespace lathe::conform
