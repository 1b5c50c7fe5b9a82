// Attention on the emulator at the widths and lengths that the contract's small cases do not reach:
// heads of 64 and 128, several tiles of keys, and decoding with the keys shared among blocks.
#include <gtest/gtest.h>

#include <lathe/config/toml.h>
#include <lathe/conform/host_tensor.h>
#include <lathe/plugin/registry.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "cuda.h"

namespace lathe {
namespace {
using conform::HostTensor;
using conform::Layout;

Backend& reference() {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  static const std::unique_ptr<Backend> backend = registry.create<Backend>("reference", Config());
  return *backend;
}
CudaBackend& cuda() {
  static CudaBackend backend(parse_toml("", "attention_test"));
  return backend;
}

struct Example {
  std::int64_t B, T, S, H, G, D;
  bool causal = true;
  std::vector<double> offset{};
  float dropout = 0;
};
using Values = std::map<std::string, std::vector<double>>;

// Every operand drawn from a stream of its name, rounded to the dtype that is tested.
std::vector<double> drawn(const std::string& name, const Shape& shape, DType dtype) {
  const RandomStream random(7, name);
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const float value = 2 * random.uniform(static_cast<std::uint64_t>(i)) - 1;
    values.push_back(static_cast<double>(dtype == DType::bf16 ? float(bf16(value)) : value));
  }
  return values;
}

// y and lse and, `backward`, the gradients.
Values results(Backend& backend, const Example& of, DType element, DType tested, bool backward) {
  const DType wide = element == DType::f64 ? DType::f64 : DType::f32;
  const Shape queries{of.B, of.T, of.H, of.D}, keys{of.B, of.S, of.G, of.D};
  const auto input = [&](const char* name, const Shape& shape) {
    auto tensor = std::make_unique<HostTensor>(backend, element, shape, Layout::dense);
    tensor->set(drawn(name, shape, tested));
    return tensor;
  };
  const auto q = input("q", queries), k = input("k", keys), v = input("v", keys);
  const auto dy = input("dy", queries);
  HostTensor offset(backend, DType::i32, {of.B}, Layout::dense);
  if (!of.offset.empty()) offset.set(of.offset);
  HostTensor y(backend, element, queries, Layout::dense);
  HostTensor lse(backend, wide, {of.B, of.H, of.T}, Layout::dense);
  const AttentionArguments forward{.q = q->view(),
                                   .k = k->view(),
                                   .v = v->view(),
                                   .y = y.view(),
                                   .lse = lse.view(),
                                   .scale = 1.3 / std::sqrt(static_cast<double>(of.D)),
                                   .causal = of.causal,
                                   .offset = of.offset.empty() ? View{} : offset.view(),
                                   .q_segment = View{},
                                   .k_segment = View{},
                                   .dropout = of.dropout,
                                   .random = RandomStream(5, "dropout")};
  backend.attention(forward);
  Values found{{"y", y.get()}, {"lse", lse.get()}};
  if (!backward) return found;
  HostTensor dq(backend, element, queries, Layout::dense);
  HostTensor dk(backend, element, keys, Layout::dense), dv(backend, element, keys, Layout::dense);
  backend.attention_gradient({.forward = forward,
                              .dy = dy->view(),
                              .dq = {dq.view(), false},
                              .dk = {dk.view(), false},
                              .dv = {dv.view(), false}});
  EXPECT_TRUE(dq.guards_intact() && dk.guards_intact() && dv.guards_intact());
  found["dq"] = dq.get();
  found["dk"] = dk.get();
  found["dv"] = dv.get();
  return found;
}

double relative_error(const std::vector<double>& found, const std::vector<double>& truth) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    error += (found[i] - truth[i]) * (found[i] - truth[i]);
    size += truth[i] * truth[i];
  }
  return std::sqrt(error / size);
}

// The contract's bounds: f32 1e-5 of the norm; bf16 2^-8 for each rounding on the way.
void expect_close(const Example& of, bool backward) {
  const std::map<std::string, double> roundings{
      {"y", 2}, {"lse", 0}, {"dq", 4}, {"dk", 4}, {"dv", 2}};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Values truth = results(reference(), of, DType::f64, dtype, backward);
    const Values found = results(cuda(), of, dtype, dtype, backward);
    for (const auto& [name, values] : truth) {
      const double bound =
          dtype == DType::bf16 ? std::max(1e-5, roundings.at(name) * 0x1p-8) : 1e-5;
      EXPECT_LE(relative_error(found.at(name), values), bound)
          << name << ", " << name_of(dtype) << ", D = " << of.D << ", T = " << of.T;
    }
  }
}

TEST(CudaAttention, WidthsOfModels) {
  for (const std::int64_t D : {32, 64, 100, 128}) {
    expect_close({.B = 1, .T = 70, .S = 70, .H = 2, .G = 1, .D = D}, true);
  }
}

TEST(CudaAttention, ManyTilesOfKeysWithDropoutAndOffsets) {
  expect_close({.B = 2,
                .T = 40,
                .S = 200,
                .H = 2,
                .G = 2,
                .D = 64,
                .causal = true,
                .offset = {160, 3},
                .dropout = 0.2F},
               true);
  expect_close({.B = 1, .T = 20, .S = 150, .H = 2, .G = 1, .D = 128, .causal = false}, true);
}

TEST(CudaAttention, DecodingSharesTheKeysAmongBlocks) {
  for (const std::int64_t D : {20, 64, 128}) {
    expect_close({.B = 3, .T = 1, .S = 300, .H = 4, .G = 2, .D = D, .offset = {299, 40, 128}},
                 false);
  }
  expect_close(
      {.B = 1, .T = 1, .S = 300, .H = 2, .G = 2, .D = 64, .causal = false, .dropout = 0.3F}, false);
}

// A row is decoded with the same bits alone and beside others.
TEST(CudaAttention, DecodingDoesNotSeeTheBatch) {
  const Example both{.B = 2, .T = 1, .S = 300, .H = 2, .G = 1, .D = 64, .offset = {250, 299}};
  Example one = both;
  one.B = 1;
  one.offset = {250};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    std::vector<double> beside = results(cuda(), both, dtype, dtype, false).at("y");
    beside.resize(beside.size() / 2);
    EXPECT_EQ(results(cuda(), one, dtype, dtype, false).at("y"), beside) << name_of(dtype);
  }
}

// One query of a cache and the same query as the last of many go through different kernels: they
// agree within the rounding of each, not to the bit.
TEST(CudaAttention, DecodingAgreesWithTheWholeSequence) {
  const Example whole{.B = 1, .T = 140, .S = 140, .H = 2, .G = 2, .D = 64};
  const Values all = results(cuda(), whole, DType::f32, DType::f32, false);
  HostTensor q(cuda(), DType::f32, {1, 140, 2, 64}, Layout::dense);
  HostTensor k(cuda(), DType::f32, {1, 140, 2, 64}, Layout::dense);
  HostTensor v(cuda(), DType::f32, {1, 140, 2, 64}, Layout::dense);
  q.set(drawn("q", {1, 140, 2, 64}, DType::f32));
  k.set(drawn("k", {1, 140, 2, 64}, DType::f32));
  v.set(drawn("v", {1, 140, 2, 64}, DType::f32));
  HostTensor y(cuda(), DType::f32, {1, 1, 2, 64}, Layout::dense);
  HostTensor offset(cuda(), DType::i32, {1}, Layout::dense);
  offset.set({139});
  cuda().attention({.q = sliced(q.view(), 1, 139, 140),
                    .k = k.view(),
                    .v = v.view(),
                    .y = y.view(),
                    .lse = View{},
                    .scale = 1.3 / 8,
                    .causal = true,
                    .offset = offset.view(),
                    .q_segment = View{},
                    .k_segment = View{},
                    .dropout = 0,
                    .random = {}});
  const std::vector<double>& y_all = all.at("y");
  const std::vector<double> last(y_all.end() - 128, y_all.end());
  EXPECT_LE(relative_error(y.get(), last), 1e-6);
}

TEST(CudaCache, APositionOutsideOfItIsAnError) {
  HostTensor x(cuda(), DType::f32, {2, 1, 1, 4}, Layout::dense);
  HostTensor cache(cuda(), DType::f32, {2, 3, 1, 4}, Layout::dense);
  HostTensor position(cuda(), DType::i32, {2}, Layout::dense);
  position.set({2, 3});
  cuda().kv_append(x.view(), position.view(), cache.view());
  try {
    cuda().synchronise();
    FAIL() << "row 1 was written behind the cache";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("kv_append: index 3 at position 1"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace lathe
