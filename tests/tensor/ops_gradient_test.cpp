// Every public op in f64 on the reference, against central differences.
#include "support.h"

namespace lathe {
namespace {
using namespace testing_tensors;
using Inputs = std::vector<Tensor>;

TEST(OpsGradient, Linear) {
  const Inputs inputs{random_tensor({4, 3}, "x"), random_tensor({5, 3}, "weight"),
                      random_tensor({5}, "bias"), random_tensor({4, 5}, "residual")};
  for (const Activation activation : {Activation::none, Activation::gelu_tanh, Activation::gelu_erf,
                                      Activation::relu, Activation::silu}) {
    const std::string name = cat("activation ", static_cast<int>(activation));
    check_gradients(name, [=](const Inputs& in) { return linear(in[0], in[1], {}, activation); },
                    {inputs[0], inputs[1]});
    check_gradients(name + " bias",
                    [=](const Inputs& in) { return linear(in[0], in[1], in[2], activation); },
                    {inputs[0], inputs[1], inputs[2]});
    check_gradients(
        name + " bias and residual",
        [=](const Inputs& in) { return linear(in[0], in[1], in[2], activation, in[3]); }, inputs);
  }
}

TEST(OpsGradient, LinearWithFrozenOperands) {
  const Tensor x = random_tensor({4, 3}, "x");
  const Tensor weight = random_tensor({5, 3}, "weight");
  const Tensor bias = random_tensor({5}, "bias");
  check_gradients("x alone", [=](const Inputs& in) { return linear(in[0], weight, bias); }, {x});
  check_gradients("weight alone", [=](const Inputs& in) { return linear(x, in[0], bias); },
                  {weight});
  check_gradients("bias alone",
                  [=](const Inputs& in) { return linear(x, weight, in[0], Activation::silu); },
                  {bias});
}

TEST(OpsGradient, Norms) {
  const Inputs inputs{random_tensor({4, 6}, "x"), random_tensor({6}, "weight", 0.5, 1.5),
                      random_tensor({6}, "bias"), random_tensor({4, 6}, "residual")};
  for (const Norm kind : {Norm::layer, Norm::rms}) {
    const std::string name = kind == Norm::layer ? "layer" : "rms";
    check_gradients(name, [=](const Inputs& in) { return norm(in[0], in[1], {}, kind, 1e-3); },
                    {inputs[0], inputs[1]});
    check_gradients(name + " bias",
                    [=](const Inputs& in) { return norm(in[0], in[1], in[2], kind, 1e-3); },
                    {inputs[0], inputs[1], inputs[2]});
    check_gradients(
        name + ", residual, y alone",
        [=](const Inputs& in) { return add_norm(in[0], in[3], in[1], in[2], kind, 1e-3).second; },
        inputs);
    check_gradients(
        name + ", residual, both",
        [=](const Inputs& in) {
          const auto [total, y] = add_norm(in[0], in[3], in[1], in[2], kind, 1e-3);
          return multiply(y, exp(total));
        },
        inputs);
    check_gradients(
        name + ", residual, the sum alone",
        [=](const Inputs& in) {
          return square(add_norm(in[0], in[1], inputs[1].detached(), inputs[2], kind, 1e-3).first);
        },
        {inputs[0], inputs[3]});
  }
}

TEST(OpsGradient, Attention) {
  const Tensor q = random_tensor({2, 4, 4, 3}, "q");
  const Tensor k = random_tensor({2, 4, 2, 3}, "k");
  const Tensor v = random_tensor({2, 4, 2, 3}, "v");
  const auto with = [](const AttentionOptions& options) {
    return [options](const Inputs& in) { return attention(in[0], in[1], in[2], options); };
  };
  check_gradients("causal, shared key heads", with({}), {q, k, v});
  AttentionOptions open;
  open.scale = 0.3;
  open.causal = false;
  check_gradients("bidirectional", with(open), {q, k, v});
  AttentionOptions packed;
  packed.q_segment = integers({2, 4}, {0, 0, 1, 1, 0, 1, 1, -1});
  packed.k_segment = packed.q_segment;
  check_gradients("packed", with(packed), {q, k, v});
  AttentionOptions dropping;
  dropping.dropout = 0.4F;
  dropping.random = RandomStream(3, "dropout").at(5);
  check_gradients("dropout", with(dropping), {q, k, v});
  AttentionOptions later;
  later.offset = integers({2}, {2, 0});
  check_gradients(
      "two queries after some keys",
      [=](const Inputs& in) { return attention(slice(in[0], 1, 0, 2), in[1], in[2], later); },
      {q, k, v});
}

TEST(OpsGradient, Embedding) {
  const Tensor tokens = integers({5}, {2, 0, 2, -1, 1});
  const Tensor positions = integers({5}, {0, 1, 2, 0, 1});
  const Tensor table = random_tensor({4, 3}, "table");
  check_gradients("tokens", [=](const Inputs& in) { return embedding(tokens, in[0]); }, {table});
  check_gradients("and positions",
                  [=](const Inputs& in) { return embedding(tokens, in[0], positions, in[1]); },
                  {table, random_tensor({3, 3}, "places")});
}

TEST(OpsGradient, HeadLoss) {
  const Tensor targets = integers({4}, {1, -1, 0, 4});
  const Tensor weights = tensor({4}, {0.5, 2, 1, 1.5});
  const Inputs inputs{random_tensor({4, 3}, "x"), random_tensor({5, 3}, "weight")};
  for (const HeadLossOptions& options : {HeadLossOptions{}, HeadLossOptions{0.1, 0.02}}) {
    check_gradients(
        cat("smoothing ", options.smoothing),
        [=](const Inputs& in) { return head_loss(in[0], in[1], targets, weights, options).sum; },
        inputs);
  }
}

TEST(OpsGradient, HeadTokens) {
  const Tensor targets = integers({4}, {1, -1, 0, 4});
  const Inputs inputs{random_tensor({4, 3}, "x"), random_tensor({5, 3}, "weight")};
  for (const double temperature : {1.0, 0.7}) {
    const auto with = [&](const auto& pick_out) {
      return [=](const Inputs& in) {
        return pick_out(head_tokens(in[0], in[1], targets, temperature));
      };
    };
    const auto chosen = [](const HeadTokens& head) { return head.log_probability; };
    const auto entropy = [](const HeadTokens& head) { return head.entropy; };
    const auto both = [](const HeadTokens& head) {
      return multiply(exp(head.log_probability), head.entropy);
    };
    check_gradients("log p", with(chosen), inputs);
    check_gradients("entropy", with(entropy), inputs);
    check_gradients("both", with(both), inputs);
  }
}

TEST(OpsGradient, RotaryGatedAndDropout) {
  const Tensor positions = integers({3}, {0, 5, 2});
  check_gradients("rotary", [=](const Inputs& in) { return rotary(in[0], positions, 100); },
                  {random_tensor({3, 2, 4}, "x")});
  check_gradients("swiglu", [](const Inputs& in) { return swiglu(in[0]); },
                  {random_tensor({3, 8}, "x")});
  const RandomStream random = RandomStream(3, "dropout").at(1);
  check_gradients("dropout", [=](const Inputs& in) { return dropout(in[0], 0.4F, random); },
                  {random_tensor({4, 5}, "x")});
}

TEST(OpsGradient, BinaryOpsBroadcast) {
  using Op = Tensor (*)(const Tensor&, const Tensor&);
  const std::vector<std::pair<std::string, Op>> ops{{"add", add},           {"subtract", subtract},
                                                    {"multiply", multiply}, {"divide", divide},
                                                    {"maximum", maximum},   {"minimum", minimum}};
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{3, 4}, {3, 4}}, {{3, 4}, {4}}, {{3, 4}, {1}},       {{3, 1}, {1, 4}},
      {{4}, {3, 4}},    {{}, {2, 3}},  {{2, 3, 4}, {3, 1}}, {{2, 1, 1}, {3, 4}}};
  for (const auto& [name, op] : ops) {
    for (const auto& [a, b] : shapes) {
      check_gradients(cat(name, " ", a.text(), " ", b.text()),
                      [f = op](const Inputs& in) { return f(in[0], in[1]); },
                      {random_tensor(a, "a", 0.2, 2), random_tensor(b, "b", 0.3, 1.9)});
    }
  }
}

TEST(OpsGradient, UnaryOps) {
  const std::vector<std::pair<std::string, Tensor (*)(const Tensor&)>> ops{
      {"negate", negate}, {"exp", exp}, {"tanh", tanh}, {"sigmoid", sigmoid}, {"relu", relu},
      {"square", square}, {"abs", abs}, {"silu", silu}, {"gelu", gelu_tanh}};
  for (const auto& [name, op] : ops) {
    check_gradients(name, [f = op](const Inputs& in) { return f(in[0]); },
                    {random_tensor({3, 4}, "x", -2, 2)});
  }
  const Tensor positive = random_tensor({3, 4}, "x", 0.2, 3);
  check_gradients("log", [](const Inputs& in) { return log(in[0]); }, {positive});
  check_gradients("sqrt", [](const Inputs& in) { return sqrt(in[0]); }, {positive});
  check_gradients("scale", [](const Inputs& in) { return scale(in[0], -2.5); }, {positive});
  check_gradients("shift", [](const Inputs& in) { return square(shift(in[0], 3)); }, {positive});
  check_gradients("clamp", [](const Inputs& in) { return clamp(in[0], 0.5, 2); }, {positive});
}

TEST(OpsGradient, Where) {
  const Tensor condition = integers({3, 1}, {1, 0, -2});
  check_gradients("whole", [=](const Inputs& in) { return where(condition, in[0], in[1]); },
                  {random_tensor({3, 4}, "a"), random_tensor({3, 4}, "b")});
  check_gradients("repeated", [=](const Inputs& in) { return where(condition, in[0], in[1]); },
                  {random_tensor({4}, "a"), random_tensor({1}, "b")});
}

TEST(OpsGradient, Reductions) {
  const Tensor x = random_tensor({2, 3, 4}, "x");
  check_gradients("sum", [](const Inputs& in) { return sum(square(in[0])); }, {x});
  check_gradients("mean", [](const Inputs& in) { return mean(square(in[0])); }, {x});
  for (const int axis : {0, 1, 2, -1, -3}) {
    check_gradients(cat("sum ", axis), [=](const Inputs& in) { return sum(in[0], axis); }, {x});
    check_gradients(cat("mean ", axis), [=](const Inputs& in) { return mean(in[0], axis); }, {x});
    check_gradients(cat("maximum ", axis), [=](const Inputs& in) { return maximum(in[0], axis); },
                    {x});
  }
  check_gradients("softmax", [](const Inputs& in) { return softmax(in[0]); }, {x});
  check_gradients("log_softmax", [](const Inputs& in) { return log_softmax(in[0]); }, {x});
}

TEST(OpsGradient, Products) {
  check_gradients("matrices", [](const Inputs& in) { return matmul(in[0], in[1]); },
                  {random_tensor({3, 4}, "a"), random_tensor({4, 5}, "b")});
  check_gradients("batches", [](const Inputs& in) { return matmul(in[0], in[1]); },
                  {random_tensor({2, 3, 2, 4}, "a"), random_tensor({2, 3, 4, 3}, "b")});
  check_gradients("with itself, turned",
                  [](const Inputs& in) { return matmul(in[0], transpose(in[0], 0, 1)); },
                  {random_tensor({3, 4}, "a")});
  check_gradients("with itself", [](const Inputs& in) { return matmul(in[0], in[0]); },
                  {random_tensor({4, 4}, "a")});
}

TEST(OpsGradient, RowsAndElements) {
  const Tensor x = random_tensor({4, 3}, "x");
  const Tensor index = integers({6}, {3, 0, -1, 3, 2, 0});
  check_gradients("gather", [=](const Inputs& in) { return gather(in[0], index); }, {x});
  const Tensor columns = integers({4}, {2, 0, 1, 2});
  check_gradients("pick", [=](const Inputs& in) { return pick(in[0], columns); }, {x});
  check_gradients("pick of a turned tensor",
                  [=](const Inputs& in) { return pick(transpose(in[0], 0, 1), columns); },
                  {random_tensor({3, 4}, "x")});
}

TEST(OpsGradient, MovingElements) {
  const Tensor x = random_tensor({2, 3, 4}, "x");
  check_gradients("cast to its own", [](const Inputs& in) { return cast(in[0], DType::f64); }, {x});
  check_gradients("contiguous", [](const Inputs& in) { return contiguous(transpose(in[0], 0, 2)); },
                  {x});
  check_gradients("transpose", [](const Inputs& in) { return exp(transpose(in[0], 1, -1)); }, {x});
  check_gradients("slice", [](const Inputs& in) { return square(slice(in[0], 1, 1, 3)); }, {x});
  check_gradients(
      "two slices that overlap",
      [](const Inputs& in) { return multiply(slice(in[0], 2, 0, 3), slice(in[0], 2, 1, 4)); }, {x});
  check_gradients("reshape", [](const Inputs& in) { return exp(in[0].reshape({6, 4})); }, {x});
  check_gradients("reshape of a turned tensor",
                  [](const Inputs& in) {
                    return exp(transpose(in[0], 0, 1).reshape({3, 2, 2, 2}));
                  },
                  {x});
  check_gradients("reshape of a window",
                  [](const Inputs& in) {
                    return exp(slice(in[0], 2, 1, 3).reshape({6, 2}));
                  },
                  {x});
  for (const int axis : {0, 1, -1}) {
    check_gradients(cat("concat ", axis),
                    [=](const Inputs& in) {
                      return exp(concat({in[0], in[1], in[0]}, axis));
                    },
                    {x, random_tensor({2, 3, 4}, "other")});
  }
}

TEST(OpsGradient, Split) {
  const Tensor x = random_tensor({3, 6}, "x");
  const auto twice = [](const Tensor& t) { return scale(t, 2); };  // a whole that is no leaf
  check_gradients("all parts",
                  [=](const Inputs& in) {
                    const auto part = split(twice(in[0]), {2, 2, 2});
                    return multiply(part[0], add(exp(part[1]), square(part[2])));
                  },
                  {x});
  check_gradients("one part",
                  [=](const Inputs& in) {
                    return exp(split(twice(in[0]), {1, 3, 2})[1]);
                  },
                  {x});
  check_gradients("one part of a leaf",
                  [](const Inputs& in) {
                    return exp(split(in[0], {4, 2})[1]);
                  },
                  {x});
  check_gradients("a part used twice",
                  [=](const Inputs& in) {
                    const auto part = split(twice(in[0]), {3, 3});
                    return multiply(exp(part[1]), square(part[1]));
                  },
                  {x});
  check_gradients("a part, then the whole",
                  [=](const Inputs& in) {
                    const Tensor whole = twice(in[0]);
                    const Tensor part = exp(split(whole, {4, 2})[1]);
                    return multiply(square(whole), sum(part));
                  },
                  {x});
  check_gradients("the whole, then a part",
                  [=](const Inputs& in) {
                    const Tensor whole = twice(in[0]);
                    const Tensor total = sum(square(whole));
                    return multiply(total, exp(split(whole, {4, 2})[0]));
                  },
                  {x});
  check_gradients("split twice",
                  [=](const Inputs& in) {
                    const Tensor whole = twice(in[0]);
                    return multiply(exp(split(whole, {4, 2})[1]), split(whole, {2, 4})[0]);
                  },
                  {x});
  check_gradients("split of a part",
                  [=](const Inputs& in) {
                    const auto part = split(twice(in[0]), {4, 2});
                    return multiply(exp(split(part[0], {2, 2})[1]), part[1]);
                  },
                  {x});
  check_gradients("split of a turned tensor",
                  [=](const Inputs& in) {
                    const auto part = split(transpose(in[0], 0, 1), {1, 2});
                    return multiply(exp(part[0]), part[1]);
                  },
                  {x});
  check_gradients("parts reshaped into heads",
                  [=](const Inputs& in) {
                    const auto part = split(twice(in[0]), {4, 2});
                    const Tensor q = part[0].reshape({1, 3, 2, 2});
                    const Tensor k = part[1].reshape({1, 3, 1, 2});
                    return attention(q, k, k, {});
                  },
                  {x});
}

}  // namespace
}  // namespace lathe
