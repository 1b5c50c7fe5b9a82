// What a model makes again in its backward pass, instead of keeping it, changes no bit of a
// training, and the memory of a step falls by just what is not kept.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>

#include <map>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

// Rows of several pieces, odd sizes, dropout and accumulation.
const char* const packed = R"(
[data]
use = "sums"
digits = 2
train = 60
validation = 0
[tokenizer]
use = "chars"
specials = true
[feed]
use = "packed"
[model]
layers = 2
heads = 3
width = 18
hidden = 37
dropout = 0.2
deviation = 0.2
[train]
batch = 2
length = 11
accumulation = 2
clip = 0.5
)";

const std::vector<std::string> policies = {"gelu", "norm", "block"};

// Losses and gradient norms of two steps, and the hash of all that they changed.
std::string trace(Tiny& tiny, std::vector<std::string> changes, const std::string& recompute) {
  changes.push_back("model.recompute=" + recompute);
  changes.emplace_back("train.threads=1");
  const auto session = tiny.session(changes);
  Trainer trainer(*session);
  std::string all;
  for (int step = 0; step < 2; ++step) {
    const StepReport report = trainer.step();
    char text[64];
    std::snprintf(text, sizeof text, "%a %a ", report.loss, report.gradient_norm);
    all += text;
  }
  return all + testing::hash_of(trainer, *session);
}

void expect_same_bits(const std::vector<std::string>& changes) {
  Tiny tiny(packed);
  for (const char* backend : {"reference", "onednn"}) {
    for (const char* precision : {"f32", "bf16"}) {
      std::vector<std::string> with = changes;
      with.push_back(cat("backend.use=", backend));
      with.push_back(cat("train.precision=", precision));
      const std::string kept = trace(tiny, with, "none");
      for (const std::string& policy : policies) {
        EXPECT_EQ(trace(tiny, with, policy), kept) << backend << " " << precision << " " << policy;
      }
    }
  }
}

TEST(Recompute, SameBitsAsGpt2) { expect_same_bits({}); }
TEST(Recompute, SameBitsWithoutDropout) { expect_same_bits({"model.dropout=0"}); }
TEST(Recompute, SameBitsAsLlama) {
  expect_same_bits({"model.norm=rms", "model.positions=rotary", "model.activation=swiglu",
                    "model.bias=false", "model.dropout=0"});
}
TEST(Recompute, SameBitsWithGeluErf) { expect_same_bits({"model.activation=gelu_erf"}); }
TEST(Recompute, SameBitsWithSilu) { expect_same_bits({"model.activation=silu"}); }
TEST(Recompute, SameBitsWithRelu) { expect_same_bits({"model.activation=relu"}); }
TEST(Recompute, SameBitsOfAnEncoder) {
  expect_same_bits({"+tokenizer.mask=true", "model.use=encoder", "+model.placement=post",
                    "objective.use=masked"});
}
TEST(Recompute, SameBitsWithOnednnsOwnProducts) {
  Tiny tiny(packed);
  const std::vector<std::string> with = {"backend.matmul=onednn", "train.precision=bf16"};
  const std::string kept = trace(tiny, with, "none");
  for (const std::string& policy : policies) EXPECT_EQ(trace(tiny, with, policy), kept) << policy;
}

// Two passes of one step and a value head, as in PPO: each pass is made again by itself.
TEST(Recompute, SameBitsOfTwoPassesAndAValueHead) {
  Registry registry(testing::built_plugins());
  const std::shared_ptr<Backend> backend = registry.create<Backend>("onednn", Config());
  std::string kept;
  for (const char* policy : {"none", "gelu", "norm", "block"}) {
    const auto model = registry.create<Model>(
        "gpt", parse_toml(cat("layers = 2\nheads = 2\nwidth = 12\ndropout = 0.1\nrecompute = \"",
                              policy, "\"\nvalue_initial = \"normal\"\n"),
                          "model"));
    Parameters parameters;
    model->build(parameters, {.vocabulary = 11, .context = 6, .values = true});
    parameters.allocate(backend, Precision::f32, 3);
    const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 6, 5};
    const std::vector<std::int32_t> places = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
    ModelInput input;
    input.tokens = Tensor::of<std::int32_t>(backend, {12}, tokens);
    input.places = {.rows = 2,
                    .length = 6,
                    .positions = Tensor::of<std::int32_t>(backend, {12}, places),
                    .segments = {},
                    .cache = nullptr};
    input.pass = {.training = true, .dropout = RandomStream(1, "dropout", 0)};
    parameters.begin_gradients();
    Tape tape;
    const Tensor hidden = model->hidden(input);
    const HeadTokens head = model->score(hidden, input.tokens, 1);
    const Tensor values = model->values(input, model->hidden(input));
    const Tensor loss = add(sum(square(values)), sum(multiply(values, head.log_probability)));
    std::string now = cat(loss.item(), " ");
    tape.backward(loss);
    parameters.finish_gradients();
    now += testing::hash_of(parameters.gradient());
    if (kept.empty()) kept = now;
    EXPECT_EQ(now, kept) << policy;
  }
}

// The largest sum of live blocks of a step, of a GPT without dropout.
std::size_t planned(Tiny& tiny, const std::string& precision, const std::string& recompute) {
  const auto session =
      tiny.session({"train.precision=" + precision, "model.recompute=" + recompute});
  Trainer trainer(*session);
  trainer.step();
  trainer.step();
  return trainer.arena().planned_bytes();
}

// The step is largest in the feed-forward part of the last block, at the gradient of `down`. With
// N = 64 places, C = 32, F = 128, H = 2 heads, L = 4 layers and s bytes to a value all blocks below
// are multiples of the alignment, and there
//  - "gelu" lacks the activations [N, F] of all layers but the last, which is there again;
//  - "norm" lacks the norms' results 2 [N, C] of all layers besides;
//  - "block" has of all layers but the last their input alone. It lacks q, k, v 3 [N, C], the
//    attention's result, the norms' results and the sum after attention 4 [N, C], before and after
//    the activation 2 [N, F], and in 4 bytes the statistics 4 [N] and the log-sum-exps [N, H].
TEST(Recompute, ThePeakFallsByWhatIsNotKept) {
  Tiny tiny(R"(
[data]
use = "sums"
digits = 2
train = 60
validation = 0
[tokenizer]
use = "chars"
specials = true
[feed]
use = "packed"
[model]
layers = 4
heads = 2
width = 32
[train]
batch = 4
length = 16
)");
  constexpr std::size_t N = 64, C = 32, F = 128, H = 2, L = 4;
  for (const auto& [precision, s] :
       std::map<std::string, std::size_t>{{"f32", std::size_t{4}}, {"bf16", std::size_t{2}}}) {
    const std::size_t none = planned(tiny, precision, "none");
    const std::size_t gelu = planned(tiny, precision, "gelu");
    const std::size_t norm = planned(tiny, precision, "norm");
    const std::size_t block = planned(tiny, precision, "block");
    EXPECT_EQ(none - gelu, (L - 1) * N * F * s) << precision;
    EXPECT_EQ(gelu - norm, L * 2 * N * C * s) << precision;
    EXPECT_EQ(none - block, (L - 1) * (N * (7 * C + 2 * F) * s + N * (4 + H) * 4)) << precision;
    EXPECT_LT(block, norm);
  }
}

TEST(Recompute, UnknownNamesAreToldApart) {
  EXPECT_EQ(recompute_of("block"), Recompute::block);
  EXPECT_THROW(recompute_of("all"), Error);
}

}  // namespace
}  // namespace lathe
