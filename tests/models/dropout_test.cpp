// Where a GPT drops values out. Each place is made visible alone: all weights are 0 but those that
// bring ones there, and a zero in the hidden state (RMS norm keeps zeros) is a dropped value.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
constexpr std::int64_t rows = 256, width = 64, heads = 2;
using Mask = std::vector<bool>;  // true: dropped

class GptDropout : public ::testing::Test {
 protected:
  GptDropout()
      : registry_(testing::built_plugins()),
        model_(registry_.create<Model>(
            "gpt", parse_toml("layers = 2\nheads = 2\nwidth = 64\npositions = \"none\"\n"
                              "norm = \"rms\"\ndropout = 0.5\ndeviation = 0.0",
                              "test"))) {
    model_->build(parameters_, {.vocabulary = 2, .context = 1});
    parameters_.allocate(std::shared_ptr<Backend>(registry_.create<Backend>("reference", Config())),
                         Precision::f32, 0);
  }

  // Sets elements [begin, end) of a parameter to one for a while.
  Mask dropped_of(const std::string& name, std::int64_t begin = 0, std::int64_t end = -1) {
    Parameter& parameter = *parameters_.find(name);
    auto* values = parameter.master.view().as<float>();
    if (end < 0) end = parameter.shape.count();
    std::fill(values + begin, values + end, 1.0F);
    const NoGradient silent;
    ModelInput input;
    const std::vector<std::int32_t> zeros(rows, 0);
    input.tokens = Tensor::of<std::int32_t>(parameters_.backend(), {rows}, zeros);
    input.places = {
        .rows = rows, .length = 1, .positions = input.tokens, .segments = {}, .cache = nullptr};
    input.pass = {.training = true, .dropout = RandomStream(3, "dropout")};
    Mask mask;
    for (const double value : model_->hidden(input).values()) mask.push_back(value == 0);
    std::fill(values + begin, values + end, 0.0F);
    return mask;
  }

  // Whether the one attention weight of a row's head was dropped: its whole head is 0 then.
  Mask dropped_weights(int layer) {
    const std::string block = cat("block.", layer, ".");
    auto* projection = parameters_.find(block + "projection.weight")->master.view().as<float>();
    for (std::int64_t c = 0; c < width; ++c) projection[c * width + c] = 1;
    const Mask all = dropped_of(block + "qkv.bias", 2 * width, 3 * width);
    std::fill(projection, projection + width * width, 0.0F);
    Mask mask;
    constexpr std::ptrdiff_t head_width = width / heads;
    for (std::ptrdiff_t h = 0; h < rows * heads; ++h) {
      const auto first = all.begin() + h * head_width;
      mask.push_back(std::find(first, first + head_width, false) == first + head_width);
    }
    return mask;
  }

  Registry registry_;
  std::unique_ptr<Model> model_;
  Parameters parameters_;
};

// The share of equal values at equal indices, in standard deviations from one half.
double surprise(const Mask& a, const Mask& b) {
  const std::size_t count = std::min(a.size(), b.size());
  double equal = 0;
  for (std::size_t i = 0; i < count; ++i) equal += a[i] == b[i] ? 1 : 0;
  const auto size = static_cast<double>(count);
  return std::abs(equal - size / 2) / std::sqrt(size / 4);
}

// Half is dropped at each place, once (the residual stream stays whole), and by numbers that no
// other place uses.
TEST_F(GptDropout, EachPlaceDropsHalfOfItsOwn) {
  std::vector<Mask> masks = {dropped_of("token_embedding")};
  for (const int layer : {0, 1}) {
    const std::string block = cat("block.", layer, ".");
    masks.push_back(dropped_weights(layer));
    masks.push_back(dropped_of(block + "projection.bias"));
    masks.push_back(dropped_of(block + "down.bias"));
  }
  for (std::size_t i = 0; i < masks.size(); ++i) {
    EXPECT_LT(surprise(masks[i], Mask(masks[i].size(), true)), 4.5) << "place " << i;
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_LT(surprise(masks[i], masks[j]), 4.5) << "places " << j << " and " << i;
    }
  }
}

}  // namespace
}  // namespace lathe
