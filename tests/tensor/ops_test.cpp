// Values of the ops that are more than one call of the backend, and what they refuse.
#include "support.h"

namespace lathe {
namespace {
using namespace testing_tensors;

Tensor counting(const Shape& shape) {
  Values values;
  for (std::int64_t i = 0; i < shape.count(); ++i) values.push_back(static_cast<double>(i));
  return tensor(shape, values);
}

TEST(Ops, ReductionsKeepTheirAxis) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(sum(x).shape().text(), "[1]");
  EXPECT_EQ(sum(x).item(), 15);
  EXPECT_EQ(mean(x).item(), 2.5);
  EXPECT_EQ(sum(x, 0).shape().text(), "[1, 3]");
  EXPECT_EQ(sum(x, 0).values(), (Values{3, 5, 7}));
  EXPECT_EQ(mean(x, -1).values(), (Values{1, 4}));
  EXPECT_EQ(maximum(x, 1).values(), (Values{2, 5}));
}

TEST(Ops, LogSoftmaxOfLargeValues) {
  const Values got = log_softmax(tensor({1, 3}, {1000, 1000, 998})).values();
  const double expected = -std::log(2 + std::exp(-2.0));
  EXPECT_NEAR(got[0], expected, 1e-12);
  EXPECT_NEAR(got[2], expected - 2, 1e-12);
}

TEST(Ops, MovingElements) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(transpose(x, 0, 1).values(), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(slice(x, 1, 1, 3).values(), (Values{1, 2, 4, 5}));
  EXPECT_EQ(concat({x, slice(x, 1, 0, 1)}, 1).values(), (Values{0, 1, 2, 0, 3, 4, 5, 3}));
  const auto parts = split(x, {1, 2});
  EXPECT_EQ(parts[0].values(), (Values{0, 3}));
  EXPECT_EQ(parts[1].values(), (Values{1, 2, 4, 5}));
  EXPECT_EQ(parts[1].storage(), x.storage());  // no copy
  EXPECT_EQ(pick(x, integers({2}, {2, 0})).values(), (Values{2, 3}));
  EXPECT_EQ(gather(x, integers({3}, {1, -1, 0})).values(), (Values{3, 4, 5, 0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(clamp(x, 1, 3).values(), (Values{1, 1, 2, 3, 3, 3}));
  EXPECT_EQ(less(x, tensor({1}, {2})).values(), (Values{1, 1, 0, 0, 0, 0}));
}

TEST(Ops, DropoutOfNothingIsTheTensor) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(dropout(x, 0, {}).storage(), x.storage());
}

TEST(Ops, HeadLossSumsWhatTheWeightsSay) {
  const HeadLoss head = head_loss(random_tensor({3, 2}, "x"), random_tensor({4, 2}, "weight"),
                                  integers({3}, {1, -1, 2}), tensor({3}, {2, 5, 0.5}));
  const Values loss = head.loss.values();
  EXPECT_EQ(loss[1], 0);
  EXPECT_NEAR(head.sum.item(), 2 * loss[0] + 0.5 * loss[2], 1e-12);
}

// The fast backend computes the same gradients where operands are the same tensor.
TEST(Ops, AttentionOfOneTensorOnTheFastBackend) {
  const auto gradient = [](const std::shared_ptr<Backend>& backend, DType dtype) {
    const Tensor x =
        leaf(cast(Tensor::of<float>(backend, {2, 70, 2, 8},
                                    [] {
                                      static std::vector<float> values;
                                      for (int i = 0; values.size() < 2240; ++i) {
                                        values.push_back(static_cast<float>(std::sin(i)));
                                      }
                                      return std::span<const float>(values);
                                    }()),
                  dtype));
    Tape tape;
    const Tensor y = attention(x, x, x, {});
    tape.backward(sum(multiply(y, y)));
    return gradient_of(x).values();
  };
  const Values wanted = gradient(reference(), DType::f64);
  const Values got = gradient(backend_named("onednn"), DType::f32);
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    norm += wanted[i] * wanted[i];
  }
  EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm));
}

TEST(OpsRefuse, ShapesThatDoNotFit) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(error_of([&] { add(x, counting({2})); }), "the shapes [2, 3] and [2] do not broadcast");
  EXPECT_EQ(error_of([&] {
              linear(x, counting({4, 2}));
            }),
            "weight of linear has the shape [4, 2] where [4, 3] was expected");
  EXPECT_EQ(error_of([&] {
              linear(counting({3}), counting({4, 3}));
            }),
            "x of linear has the shape [3] where 2 axes were expected");
  EXPECT_EQ(error_of([&] {
              linear(x, counting({4, 3}), counting({3}));
            }),
            "bias of linear has the shape [3] where [4] was expected");
  EXPECT_EQ(error_of([&] {
              linear(x, counting({4, 3}), {}, Activation::none, x);
            }),
            "residual of linear has the shape [2, 3] where [2, 4] was expected");
  EXPECT_EQ(error_of([&] {
              linear(Tensor(), counting({4, 3}));
            }),
            "no tensor was given for x of linear");
  EXPECT_EQ(error_of([&] { linear(x, Tensor()); }), "no tensor was given for weight of linear");
  EXPECT_EQ(error_of([&] { norm(x, counting({2}), {}, Norm::layer, 1e-5); }),
            "weight of norm has the shape [2] where [3] was expected");
  EXPECT_EQ(error_of([&] { add_norm(x, {}, counting({3}), {}, Norm::layer, 1e-5); }),
            "no tensor was given for residual of add_norm");
  EXPECT_EQ(error_of([&] { matmul(x, x); }),
            "matmul needs [..., M, K] and [..., K, N] with equal leading axes, not [2, 3] and "
            "[2, 3]");
  EXPECT_EQ(error_of([&] {
              embedding(integers({2}, {0, 1}), x, integers({3}, {0, 0, 0}), x);
            }),
            "positions of embedding has the shape [3] where [2] was expected");
  EXPECT_EQ(error_of([&] { swiglu(x); }), "swiglu needs an even width, not 3");
  EXPECT_EQ(error_of([&] {
              rotary(counting({2, 1, 3}), integers({2}, {0, 1}), 100);
            }),
            "rotary positions need an even head width, not 3");
  EXPECT_EQ(error_of([&] { attention(x, x, x, {}); }),
            "attention needs q [B, T, H, D] and k, v [B, S, G, D], not [2, 3], [2, 3], [2, 3]");
  const Tensor heads = counting({1, 2, 3, 2});
  const Tensor keys = counting({1, 2, 2, 2});
  EXPECT_EQ(error_of([&] { attention(heads, keys, keys, {}); }),
            "attention: 3 heads cannot share 2 key heads evenly");
  EXPECT_EQ(error_of([&] {
              head_loss(x, x, integers({3}, {0, 0, 0}), counting({2}));
            }),
            "head_loss has 2 rows but 3 targets and 2 weights");
  EXPECT_EQ(error_of([&] {
              head_tokens(x, counting({4, 2}), integers({2}, {0, 0}));
            }),
            "head_tokens needs x [N, C], weight [V, C] and targets [N], not [2, 3], [4, 2] and "
            "[2]");
  EXPECT_EQ(error_of([&] {
              concat({x, counting({3, 2})}, 0);
            }),
            "concat along axis 0: [3, 2] does not fit beside [2, 3]");
  EXPECT_EQ(error_of([&] { concat({}, 0); }), "concat of no tensors");
  EXPECT_EQ(error_of([&] {
              split(x, {1, 1});
            }),
            "split: the widths add up to 2 but the last axis of [2, 3] has 3");
  EXPECT_EQ(error_of([&] { slice(x, 1, 2, 4); }),
            "cannot take 2 to 4 of axis 1 of a tensor [2, 3]");
  EXPECT_EQ(error_of([&] { gather(x, x); }),
            "gather needs a table [R, C] and an index [N], not [2, 3] and [2, 3]");
  EXPECT_EQ(error_of([&] {
              pick(x, integers({2}, {0, 3}));
            }),
            "pick: index 3 of row 1 is outside of 0 to 2");
  EXPECT_EQ(error_of([&] { pick(x, integers({1}, {0})); }),
            "pick needs x [N, C] and an index [N], not [2, 3] and [1]");
  EXPECT_EQ(error_of([&] { sum(x, 2); }), "axis 2 of a tensor of rank 2");
  EXPECT_EQ(error_of([&] { dropout(x, 1, {}); }), "dropout of 1 is not in [0, 1)");
}

TEST(OpsRefuse, TypesThatDoNotFit) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(error_of([&] { add(x, cast(x, DType::f32)); }),
            "operands of f64 and f32: cast() one of them");
  EXPECT_EQ(error_of([&] { x.integers(); }), "a tensor of f64 was read as i32");
  EXPECT_EQ(error_of([&] { x.item(); }), "item() of a tensor [2, 3] with 6 elements");
  EXPECT_EQ(error_of([&] { tensor({2}, {1, 2, 3}); }), "a tensor [2] was given 3 values");
}

}  // namespace
}  // namespace lathe
