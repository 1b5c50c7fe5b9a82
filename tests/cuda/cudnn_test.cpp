// Attention by cuDNN as far as it can be checked without a device: the constants against the
// installed header, which cases go there, and cuDNN's own answer whether it has engines for the
// graphs. Numbers and speed are for bench/cuda.
#include <gtest/gtest.h>

#include <lathe/base/error.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "attention_cudnn.h"

#if __has_include(<cudnn_graph_v9.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <cudnn_graph_v9.h>
#endif

namespace lathe::cuda {
namespace {
using namespace cudnn;

TEST(CudnnConstants, AreThoseOfTheHeader) {
#if __has_include(<cudnn_graph_v9.h>)
  const std::map<int, int> pairs{
      {static_cast<int>(Attribute::pointwise_axis), CUDNN_ATTR_POINTWISE_AXIS},
      {static_cast<int>(Attribute::heuristics_device), CUDNN_ATTR_ENGINEHEUR_DEVICEPROP},
      {static_cast<int>(Attribute::heuristics_results), CUDNN_ATTR_ENGINEHEUR_RESULTS},
      {static_cast<int>(Attribute::plan_config), CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG},
      {static_cast<int>(Attribute::plan_workspace), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE},
      {static_cast<int>(Attribute::operation_pointwise_b), CUDNN_ATTR_OPERATION_POINTWISE_BDESC},
      {static_cast<int>(Attribute::operation_pointwise_t), CUDNN_ATTR_OPERATION_POINTWISE_TDESC},
      {static_cast<int>(Attribute::graph_operations), CUDNN_ATTR_OPERATIONGRAPH_OPS},
      {static_cast<int>(Attribute::tensor_by_value), CUDNN_ATTR_TENSOR_IS_BY_VALUE},
      {static_cast<int>(Attribute::pack_workspace), CUDNN_ATTR_VARIANT_PACK_WORKSPACE},
      {static_cast<int>(Attribute::operation_matmul_c), CUDNN_ATTR_OPERATION_MATMUL_CDESC},
      {static_cast<int>(Attribute::reduction_math), CUDNN_ATTR_REDUCTION_COMP_TYPE},
      {static_cast<int>(Attribute::operation_reduction_y), CUDNN_ATTR_OPERATION_REDUCTION_YDESC},
      {static_cast<int>(Attribute::operation_reshape_y), CUDNN_ATTR_OPERATION_RESHAPE_YDESC},
      {static_cast<int>(Attribute::device_json), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION}};
  for (const auto& [ours, theirs] : pairs) EXPECT_EQ(ours, theirs);
  EXPECT_EQ(static_cast<int>(Kind::device_properties), CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  EXPECT_EQ(static_cast<int>(Kind::plan), CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  EXPECT_EQ(static_cast<int>(Kind::operation_reshape), CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  EXPECT_EQ(static_cast<int>(Type::character), CUDNN_TYPE_CHAR);
  EXPECT_EQ(static_cast<int>(Type::reduction_operator), CUDNN_TYPE_REDUCTION_OPERATOR_TYPE);
  EXPECT_EQ(static_cast<int>(Data::bf16), CUDNN_DATA_BFLOAT16);
  EXPECT_EQ(static_cast<int>(Data::boolean), CUDNN_DATA_BOOLEAN);
  EXPECT_EQ(static_cast<int>(Point::select), CUDNN_POINTWISE_BINARY_SELECT);
  EXPECT_EQ(static_cast<int>(Point::index), CUDNN_POINTWISE_GEN_INDEX);
  EXPECT_EQ(static_cast<int>(Point::greater_or_equal), CUDNN_POINTWISE_CMP_GE);
  EXPECT_EQ(static_cast<int>(Point::subtract), CUDNN_POINTWISE_SUB);
  EXPECT_EQ(static_cast<int>(Fold::maximum), CUDNN_REDUCE_TENSOR_MAX);
  EXPECT_EQ(heuristics_mode_a, CUDNN_HEUR_MODE_A);
#else
  GTEST_SKIP() << "skipped: no cudnn_graph_v9.h";
#endif
}

// [B, T, 3 H D] bf16 at a fixed address, cut into q, k and v: nothing here reads memory.
struct PackedCase {
  AttentionGradients gradients;

  explicit PackedCase(std::int64_t T = 128, std::int64_t D = 64, std::int64_t shift = 0) {
    const std::int64_t B = 2, H = 3;
    const auto at = [&](std::int64_t place) {
      return reinterpret_cast<void*>(std::uintptr_t{0x10000} +
                                     static_cast<std::uintptr_t>(2 * (place + shift)));
    };
    const auto part = [&](std::int64_t which) {
      View view = dense_view(at(which * H * D), DType::bf16, {B, T, H, D});
      view.strides = {T * 3 * H * D, 3 * H * D, D, 1, 0};
      return view;
    };
    AttentionArguments& forward = gradients.forward;
    forward.q = part(0);
    forward.k = part(1);
    forward.v = part(2);
    forward.y = gradients.dy = dense_view(at(0), DType::bf16, {B, T, H, D});
    forward.lse = dense_view(at(0), DType::f32, {B, H, T});
    gradients.dq = {part(0), false};
    gradients.dk = {part(1), false};
    gradients.dv = {part(2), false};
  }
};

TEST(CudnnCases, ArePlainAttentionInBf16) {
  EXPECT_TRUE(fits_cudnn(PackedCase().gradients));
  EXPECT_FALSE(fits_cudnn(PackedCase(128, 60).gradients)) << "heads of 120 bytes";
  EXPECT_FALSE(fits_cudnn(PackedCase(128, 136).gradients)) << "wider than 128";
  EXPECT_FALSE(fits_cudnn(PackedCase(128, 64, 1).gradients)) << "not 16-byte aligned";
  EXPECT_FALSE(fits_cudnn(PackedCase(1).gradients.forward)) << "one query";
  PackedCase other;
  other.gradients.dk.add = true;
  EXPECT_FALSE(fits_cudnn(other.gradients)) << "adds";
  EXPECT_TRUE(fits_cudnn(other.gradients.forward));
  other = PackedCase();
  other.gradients.dv = {};
  EXPECT_FALSE(fits_cudnn(other.gradients)) << "a gradient that nobody wants";
  for (const auto& change : std::vector<void (*)(AttentionArguments&)>{
           [](AttentionArguments& a) { a.dropout = 0.1F; },
           [](AttentionArguments& a) { a.offset = a.lse; },
           [](AttentionArguments& a) { a.q_segment = a.lse; },
           [](AttentionArguments& a) { a.q.dtype = DType::f32; },
           [](AttentionArguments& a) { a.lse.strides[2] = 2; }}) {
    other = PackedCase();
    change(other.gradients.forward);
    EXPECT_FALSE(fits_cudnn(other.gradients.forward));
  }
}

TEST(CudnnCases, ShapesCarryTheStridesOfEachTensor) {
  const PackedCase of;
  const AttentionShape shape = cudnn_shape(of.gradients);
  EXPECT_EQ(shape.q, (AttentionShape::Layout{128 * 576, 64, 576}));
  EXPECT_EQ(shape.y, (AttentionShape::Layout{128 * 192, 64, 192}));
  EXPECT_EQ(shape.dq, shape.q);
  EXPECT_EQ(shape.dy, shape.y);
  PackedCase other;
  other.gradients.dv.view.strides[0] += 8;
  EXPECT_NE(shape, cudnn_shape(other.gradients));
  EXPECT_EQ(cudnn_shape(of.gradients.forward), cudnn_shape(other.gradients.forward));
}

TEST(CudnnCases, LeavesOutVersionsThatAreWrong) {
  EXPECT_TRUE(is_trusted_backward(91900, 100));
  EXPECT_TRUE(is_trusted_backward(90800, 1024));
  EXPECT_FALSE(is_trusted_backward(91500, 100));
  EXPECT_FALSE(is_trusted_backward(91000, 1024));
  EXPECT_FALSE(is_trusted_backward(91001, 1024));
}

TEST(CudnnOption, SaysWhatIsMissing) {
  EXPECT_EQ(open_cudnn("own", nullptr, false), nullptr);
  EXPECT_EQ(open_cudnn("auto", nullptr, false), nullptr);
  try {
    open_cudnn("cudnn", nullptr, false);
    FAIL() << "there is no cuDNN on the emulator";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("attention = \"cudnn\""), std::string::npos) << text;
    EXPECT_NE(text.find("LATHE_CUDNN"), std::string::npos) << text;
  }
}

// A library path on which libcuda.so.1 is the toolkit's stub, or nothing without a stub.
std::string path_with_stub() {
  const std::filesystem::path toolkit = LATHE_CUDA_TOOLKIT;
  for (const char* folder : {"lib/stubs", "lib64/stubs", "targets/x86_64-linux/lib/stubs"}) {
    const auto stub = toolkit / folder / "libcuda.so";
    if (!std::filesystem::exists(stub)) continue;
    const auto place = std::filesystem::path(testing::TempDir()) / "lathe_cuda_stub";
    std::filesystem::create_directories(place);
    std::error_code exists;
    std::filesystem::create_symlink(stub, place / "libcuda.so.1", exists);
    return place.string() + ":" + (toolkit / "lib").string() + ":" + (toolkit / "lib64").string();
  }
  return "";
}

using Answer = std::array<int, 3>;  // engines: forward, backward, deterministic backward

// What ask_cudnn says; empty when there is no cuDNN.
std::map<std::string, Answer> ask(const std::string& version) {
  const std::string command = cat("LD_LIBRARY_PATH='", path_with_stub(), "' '", LATHE_ASK_CUDNN,
                                  "' '", LATHE_FIXTURES, "/cuda/h200.json' ", version, " 2>&1");
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text += static_cast<char>(c);
  const int status = pclose(pipe);
  std::map<std::string, Answer> answers;
  if (text.starts_with("skipped:")) return answers;
  EXPECT_EQ(status, 0) << text;
  std::istringstream lines(text);
  std::string name;
  std::getline(lines, name);
  for (Answer answer; lines >> name >> answer[0] >> answer[1] >> answer[2];) answers[name] = answer;
  return answers;
}

TEST(CudnnGraphs, HaveEnginesOnAnH200) {
  if (path_with_stub().empty()) GTEST_SKIP() << "skipped: no CUDA toolkit";
  const auto answers = ask("900");
  if (answers.empty()) GTEST_SKIP() << "skipped: no cuDNN 9";
  for (const char* name : {"gpt2", "full", "shared_keys", "wide", "narrow_odd", "cross"}) {
    const Answer& answer = answers.at(name);
    EXPECT_GE(answer[0], 1) << name << ", forward";
    EXPECT_GE(answer[1], 1) << name << ", backward";
    EXPECT_GE(answer[2], 1) << name << ", deterministic backward";
  }
  // The question can be answered with no.
  EXPECT_EQ(answers.at("width_60"), (Answer{0, 0, 0}));
  EXPECT_EQ(answers.at("width_512")[1], 0);
  EXPECT_EQ(answers.at("width_512")[2], 0);
}

TEST(CudnnGraphs, HaveNoneBeforeAmpere) {
  if (path_with_stub().empty()) GTEST_SKIP() << "skipped: no CUDA toolkit";
  const auto answers = ask("750");
  if (answers.empty()) GTEST_SKIP() << "skipped: no cuDNN 9";
  for (const auto& [name, answer] : answers) EXPECT_EQ(answer, (Answer{0, 0, 0})) << name;
  const auto ampere = ask("800");
  EXPECT_GE(ampere.at("gpt2")[0], 1);
  EXPECT_GE(ampere.at("gpt2")[1], 1);
}

}  // namespace
}  // namespace lathe::cuda
