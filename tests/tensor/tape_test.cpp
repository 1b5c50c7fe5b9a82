// Where gradients gather: shared, added to, handed over; and the values that have a kink.
#include "support.h"

namespace lathe {
namespace {
using namespace testing_tensors;
using Inputs = std::vector<Tensor>;

// The gradient of the function's sum by each input.
std::vector<Values> gradients(const Function& function, Inputs inputs) {
  for (Tensor& input : inputs) input = leaf(input);
  {
    Tape tape;
    tape.backward(sum(function(inputs)));
  }
  std::vector<Values> list;
  for (const Tensor& input : inputs) {
    const Tensor gradient = gradient_of(input);
    list.push_back(gradient ? gradient.values() : Values{});
  }
  return list;
}

TEST(Tape, ATensorUsedTwiceGathersBoth) {
  const Tensor x = random_tensor({3, 4}, "x");
  check_gradients("x + x", [](const Inputs& in) { return add(in[0], in[0]); }, {x});
  check_gradients("x * x", [](const Inputs& in) { return multiply(in[0], in[0]); }, {x});
  check_gradients("x - x / 2", [](const Inputs& in) { return subtract(in[0], scale(in[0], 0.5)); },
                  {x});
  check_gradients(
      "linear with x as its own residual",
      [](const Inputs& in) { return linear(in[0], in[1], {}, Activation::silu, in[0]); },
      {x, random_tensor({4, 4}, "weight")});
  check_gradients("linear of x and x", [](const Inputs& in) { return linear(in[0], in[0]); }, {x});
  check_gradients("norm of x + x",
                  [](const Inputs& in) {
                    const auto [total, y] = add_norm(in[0], in[0], in[1], in[2], Norm::layer, 1e-3);
                    return multiply(exp(total), y);
                  },
                  {x, random_tensor({4}, "weight"), random_tensor({4}, "bias")});
  check_gradients("attention of x, x and x",
                  [](const Inputs& in) { return attention(in[0], in[0], in[0], {}); },
                  {random_tensor({2, 3, 2, 4}, "x")});
  check_gradients(
      "one table for tokens and positions",
      [](const Inputs& in) {
        return embedding(integers({3}, {0, 2, 2}), in[0], integers({3}, {0, 1, 2}), in[0]);
      },
      {random_tensor({3, 4}, "table")});
  check_gradients("where",
                  [](const Inputs& in) {
                    return where(integers({3, 1}, {1, 0, 1}), in[0], square(in[0]));
                  },
                  {x});
}

TEST(Tape, TiedEmbeddingAndHead) {
  const Tensor tokens = integers({4}, {1, 3, 0, 3});
  const Tensor targets = integers({4}, {3, 0, 3, 2});
  const Tensor weights = tensor({4}, {1, 0.5, 2, 1});
  check_gradients("head_loss",
                  [=](const Inputs& in) {
                    const Tensor x = linear(embedding(tokens, in[0]), in[1]);
                    return head_loss(x, in[0], targets, weights).sum;
                  },
                  {random_tensor({5, 3}, "table"), random_tensor({3, 3}, "weight")});
  check_gradients("head_tokens",
                  [=](const Inputs& in) {
                    const Tensor x = linear(embedding(tokens, in[0]), in[1]);
                    return head_tokens(x, in[0], targets).log_probability;
                  },
                  {random_tensor({5, 3}, "table"), random_tensor({3, 3}, "weight")});
}

// add() gives both operands the same memory. Adding to one must leave the other as it is.
TEST(Tape, ASharedGradientIsNotAddedToInPlace) {
  check_gradients("both used again",
                  [](const Inputs& in) {
                    const Tensor a = scale(in[0], 2);
                    const Tensor b = scale(in[1], 3);
                    const Tensor early = multiply(a, exp(b));  // adds to both after add() gave
                    return add(early, add(a, b));
                  },
                  {random_tensor({3, 4}, "a"), random_tensor({3, 4}, "b")});
  // a's gradient is written while b's is still that of the sum.
  const auto got = gradients(
      [](const Inputs& in) {
        const Tensor first = scale(in[0], 10);
        return add(add(in[0], in[1]), first);
      },
      {tensor({2}, {1, 2}), tensor({2}, {3, 4})});
  EXPECT_EQ(got[0], (Values{11, 11}));
  EXPECT_EQ(got[1], (Values{1, 1}));
}

TEST(Tape, ResidualsHandTheirGradientOver) {
  check_gradients("a chain of blocks",
                  [](const Inputs& in) {
                    Tensor x = in[0];
                    for (int i = 0; i < 3; ++i) {
                      const Tensor h = norm(x, in[2], {}, Norm::rms, 1e-3);
                      x = linear(h, in[1], {}, Activation::silu, x);
                    }
                    return x;
                  },
                  {random_tensor({3, 4}, "x"), random_tensor({4, 4}, "weight"),
                   random_tensor({4}, "scale", 0.5, 1.5)});
  check_gradients("the residual is also an earlier result",
                  [](const Inputs& in) {
                    const Tensor early = exp(in[0]);
                    const Tensor y = linear(in[0], in[1], {}, Activation::none, early);
                    return multiply(y, early);
                  },
                  {random_tensor({3, 4}, "x"), random_tensor({4, 4}, "weight")});
  check_gradients("concat of one tensor's neighbours",
                  [](const Inputs& in) {
                    const Tensor a = scale(in[0], 2);
                    const Tensor b = scale(in[0], 3);
                    return add(concat({a, b}, 0), concat({b, a}, 0));
                  },
                  {random_tensor({2, 3}, "x")});
}

TEST(Tape, TiesOfMaximumAndMinimumGoToTheFirst) {
  const Tensor a = tensor({3}, {1, 2, 3});
  const Tensor b = tensor({3}, {1, 5, 2});
  const auto most = gradients([](const Inputs& in) { return maximum(in[0], in[1]); }, {a, b});
  EXPECT_EQ(most[0], (Values{1, 0, 1}));
  EXPECT_EQ(most[1], (Values{0, 1, 0}));
  const auto least = gradients([](const Inputs& in) { return minimum(in[0], in[1]); }, {a, b});
  EXPECT_EQ(least[0], (Values{1, 1, 0}));
  EXPECT_EQ(least[1], (Values{0, 0, 1}));
}

TEST(Tape, KinksOfTheOthers) {
  const Tensor x = tensor({5}, {-1, 0, 1, 2, 3});
  const auto of = [&](const auto& f) {
    return gradients([f](const Inputs& in) { return f(in[0]); }, {x})[0];
  };
  // The bounds belong to the tensor.
  EXPECT_EQ(of([](const Tensor& t) { return clamp(t, 0, 2); }), (Values{0, 1, 1, 1, 0}));
  EXPECT_EQ(of([](const Tensor& t) { return relu(t); }), (Values{0, 0, 1, 1, 1}));
  EXPECT_EQ(of([](const Tensor& t) { return abs(t); }), (Values{-1, 0, 1, 1, 1}));
  const auto shared = gradients([](const Inputs& in) { return maximum(in[0], 1); },
                                {tensor({2, 3}, {4, 4, 1, 0, 2, 1})})[0];
  EXPECT_EQ(shared, (Values{0.5, 0.5, 0, 0, 1, 0}));
}

TEST(Tape, NoGradientReachesConditions) {
  const auto got = gradients([](const Inputs& in) { return where(in[0], in[1], scale(in[1], 3)); },
                             {tensor({3}, {1, 0, 2}), tensor({3}, {1, 1, 1})});
  EXPECT_EQ(got[0], Values{});
  EXPECT_EQ(got[1], (Values{1, 3, 1}));
  EXPECT_FALSE(less(leaf(tensor({1}, {1})), tensor({1}, {2})).variable());
}

TEST(Tape, LeavesAddUpOverBackwardPasses) {
  const Tensor x = leaf(tensor({2}, {1, 2}));
  for (int i = 0; i < 3; ++i) {
    Tape tape;
    tape.backward(sum(square(x)));
  }
  EXPECT_EQ(gradient_of(x).values(), (Values{6, 12}));
}

TEST(Tape, AParametersGradientIsWide) {
  // A bf16 tensor whose gradient gathers in f32, as the flat buffers have it.
  const auto backend = backend_named("onednn");
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor wide = Tensor::of<float>(backend, {2, 3}, values);
  const auto gradient_by = [&](const auto& f) {
    Tensor x = leaf(cast(wide, DType::bf16));
    x.variable()->dtype = DType::f32;
    {
      Tape tape;
      tape.backward(sum(cast(f(x), DType::f32)));
    }
    EXPECT_EQ(gradient_of(x).dtype(), DType::f32);
    return gradient_of(x).values();
  };
  EXPECT_EQ(gradient_by([](const Tensor& x) { return add(x, x); }), Values(6, 2));
  EXPECT_EQ(gradient_by([](const Tensor& x) { return square(x); }), (Values{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(gradient_by([](const Tensor& x) { return add(slice(x, 1, 0, 2), slice(x, 1, 1, 3)); }),
            (Values{1, 2, 1, 1, 2, 1}));
  EXPECT_EQ(gradient_by([](const Tensor& x) { return cast(x, DType::f32); }), Values(6, 1));
}

TEST(Tape, CastsCarryTheirGradientBack) {
  const auto got = gradients(
      [](const Inputs& in) { return multiply(cast(in[0], DType::f32), cast(in[0], DType::f32)); },
      {tensor({3}, {1, 2, -3})});
  EXPECT_EQ(got[0], (Values{2, 4, -6}));
}

TEST(Tape, TargetsOutliveTheCallOfTheHead) {
  const Tensor x = leaf(random_tensor({3, 2}, "x"));
  const Tensor weight = leaf(random_tensor({4, 2}, "weight"));
  const auto backward = [&](bool keep) {
    Tape tape;
    Tensor targets = integers({3}, {1, 0, 3});
    const HeadTokens head = head_tokens(x, weight, targets);
    if (!keep) targets = Tensor();
    const Tensor other = integers({3}, {2, 2, 2});  // where the targets may have been
    tape.backward(sum(head.log_probability));
    const Values result = gradient_of(x).values();
    x.variable()->state = Variable::State::empty;
    return result;
  };
  EXPECT_EQ(backward(false), backward(true));
}

TEST(Tape, RecordsOnlyWhileItLivesAndIsAsked) {
  const Tensor x = leaf(tensor({2}, {1, 2}));
  EXPECT_FALSE(square(x).variable());
  Tape tape;
  EXPECT_TRUE(square(x).variable());
  EXPECT_FALSE(square(x.detached()).variable());
  {
    const NoGradient silent;
    EXPECT_FALSE(square(x).variable());
  }
  {
    Tape inner;
    EXPECT_EQ(Tape::current(), &inner);
  }
  EXPECT_EQ(Tape::current(), &tape);
}

TEST(Tape, UnusedResultsSendNothing) {
  const Tensor x = leaf(tensor({2}, {1, 2}));
  const Tensor unused = leaf(tensor({2}, {0, 0}));
  Tape tape;
  const Tensor infinite = divide(x, unused);  // its gradient would be NaN
  tape.backward(sum(square(x)));
  EXPECT_EQ(gradient_of(x).values(), (Values{2, 4}));
  EXPECT_FALSE(gradient_of(unused));
}

TEST(Tape, WhatBackwardNeedsIsSaid) {
  const Tensor x = leaf(tensor({2}, {1, 2}));
  Tape tape;
  EXPECT_EQ(error_of([&] { tape.backward(square(x)); }),
            "backward() needs a scalar loss, not a tensor [2]: sum it first");
  EXPECT_EQ(error_of([&] { tape.backward(sum(x.detached())); }),
            "backward() of a tensor that depends on no parameter, or was made outside of the tape");
  EXPECT_EQ(error_of([&] { gradient_of(tensor({1}, {1})); }),
            "gradient_of() needs a tensor made by leaf()");
}

TEST(Tape, AScaledHeadLossIsRefused) {
  const Tensor x = leaf(random_tensor({2, 3}, "x"));
  const Tensor weight = random_tensor({4, 3}, "weight");
  const auto loss = [&] {
    return head_loss(x, weight, integers({2}, {1, 2}), tensor({2}, {1, 1})).sum;
  };
  for (const auto& wrong : {+[](const Tensor& t) { return scale(t, 0.5); },
                            +[](const Tensor& t) { return add(t, t); }}) {
    Tape tape;
    EXPECT_EQ(
        error_of([&] { tape.backward(wrong(loss())); }),
        "head_loss gives the loss that backward() is called on; put factors into the weights");
  }
}

}  // namespace
}  // namespace lathe
