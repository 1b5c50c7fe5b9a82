// Every gradient of a whole GPT against central differences, in f64 on the reference backend.
#include <algorithm>

#include "models/gradient_check.h"

namespace lathe {
namespace {
using testing::Tiny;
using Ints = std::vector<std::int32_t>;

void expect_exact_gradients(const std::vector<std::string>& options) {
  testing::expect_exact_gradients(testing::tiny_sums, options);
}

TEST(GptGradient, AsGpt2) { expect_exact_gradients({}); }
TEST(GptGradient, RmsNorm) { expect_exact_gradients({"model.norm=rms"}); }
TEST(GptGradient, Rotary) { expect_exact_gradients({"model.positions=rotary"}); }
TEST(GptGradient, NoPositions) { expect_exact_gradients({"model.positions=none"}); }
TEST(GptGradient, Swiglu) { expect_exact_gradients({"model.activation=swiglu"}); }
TEST(GptGradient, Relu) { expect_exact_gradients({"model.activation=relu"}); }
TEST(GptGradient, Silu) { expect_exact_gradients({"model.activation=silu"}); }
TEST(GptGradient, GeluErf) { expect_exact_gradients({"model.activation=gelu_erf"}); }
TEST(GptGradient, SharedKeyHeads) {
  expect_exact_gradients({"model.key_heads=1", "model.positions=rotary"});
}
TEST(GptGradient, OwnHead) { expect_exact_gradients({"model.tied=false"}); }
TEST(GptGradient, NoBias) { expect_exact_gradients({"model.bias=false"}); }
TEST(GptGradient, Dropout) { expect_exact_gradients({"model.dropout=0.3"}); }
TEST(GptGradient, PackedSegments) {
  const std::vector<std::string> packed = {"feed=packed", "train.length=14",
                                           "model.positions=rotary"};
  Tiny tiny(testing::tiny_sums);
  const Ints segments = tiny.session(packed)->feed->batch(1).segments;
  EXPECT_NE(std::find(segments.begin(), segments.end(), 1), segments.end()) << "nothing is packed";
  expect_exact_gradients(packed);
}
TEST(GptGradient, LabelSmoothing) { expect_exact_gradients({"objective.smoothing=0.1"}); }
TEST(GptGradient, ZLoss) { expect_exact_gradients({"objective.z_loss=0.05"}); }
TEST(GptGradient, AsLlama) {
  expect_exact_gradients({"model.norm=rms", "model.positions=rotary", "model.activation=swiglu",
                          "model.key_heads=1", "model.tied=false", "model.bias=false"});
}
TEST(GptGradient, NoLayers) { expect_exact_gradients({"model.layers=0"}); }

}  // namespace
}  // namespace lathe
