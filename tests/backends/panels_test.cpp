// Weights that onednn keeps in panels while work is repeated: the bits of the plain products, and
// which weights they are. That panels are read is seen by changing the weight behind them, which
// nobody else may do.
#include <gtest/gtest.h>
#include <lathe/base/random.h>
#include <lathe/config/toml.h>
#include <lathe/plugin/registry.h>
#include <lathe/tensor/backend.h>

#include <cstring>
#include <vector>

namespace lathe {
namespace {
constexpr int times = 40;  // that is more often than panels need to be made

std::unique_ptr<Backend> onednn(const std::string& options = "") {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  return registry.create<Backend>("onednn", parse_toml(options, "panels_test"));
}

// Memory of a backend with normal numbers, others for each seed.
struct Matrix {
  Matrix(Backend& on, DType type, std::int64_t rows, std::int64_t columns)
      : backend(on),
        bytes(static_cast<std::size_t>(rows * columns) * size_of(type)),
        view(dense_view(on.allocate(bytes), type, {rows, columns})) {}
  ~Matrix() { backend.release(view.data, bytes); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  void fill(std::uint64_t seed) {
    const RandomStream random(seed, "panels");
    for (std::int64_t i = 0; i < view.count(); ++i) {
      const auto value = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
      if (view.dtype == DType::f32) {
        view.as<float>()[i] = value;
      } else {
        view.as<bf16>()[i] = bf16(value);
      }
    }
  }
  void begin_with(float value) {
    if (view.dtype == DType::f32) {
      view.as<float>()[0] = value;
    } else {
      view.as<bf16>()[0] = bf16(value);
    }
  }
  std::vector<char> bits() const {
    std::vector<char> all(bytes);
    std::memcpy(all.data(), view.data, bytes);
    return all;
  }

  Backend& backend;
  std::size_t bytes;
  View view;
};

// Large, and no whole panel and no whole pair.
constexpr std::int64_t out = 2100, in = 131;

struct Work {
  Work(Backend& on, DType type, std::int64_t rows)
      : backend(on), x(on, type, rows, in), y(on, type, rows, out), bias(on, DType::f32, 1, out) {
    x.fill(static_cast<std::uint64_t>(rows));
    bias.fill(7);
  }
  void multiply(const Matrix& weight) {
    backend.linear({.x = x.view,
                    .weight = weight.view,
                    .bias = reshaped(bias.view, {out}),
                    .residual = {},
                    .activation = Activation::gelu_tanh,
                    .before = {},
                    .y = y.view});
  }
  std::vector<char> plain(const Matrix& weight) {
    multiply(weight);
    return y.bits();
  }
  std::vector<char> repeated(std::unique_ptr<Backend::Recording>& recording, const Matrix& weight,
                             const std::vector<const void*>& memory) {
    backend.repeat(
        recording, [&] { return memory; }, [&] { multiply(weight); });
    return y.bits();
  }

  Backend& backend;
  Matrix x, y, bias;
};

class Panels : public ::testing::TestWithParam<DType> {
 protected:
  void set_up(const std::string& options) {
    weight_.reset();
    backend_ = onednn(options);
    weight_ = std::make_unique<Matrix>(*backend_, GetParam(), out, in);
    weight_->fill(1);
  }
  void SetUp() override { set_up(""); }
  std::vector<const void*> memory() const { return {weight_->view.data}; }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Matrix> weight_;
};
INSTANTIATE_TEST_SUITE_P(Types, Panels, testing::Values(DType::f32, DType::bf16),
                         [](const auto& each) { return std::string(name_of(each.param)); });

TEST_P(Panels, HaveTheBitsOfPlainProducts) {
  for (const std::int64_t rows : {1, 2, 7, 15, 48, 60}) {
    Work work(*backend_, GetParam(), rows);
    std::unique_ptr<Backend::Recording> recording;
    for (int i = 0; i < times; ++i) {
      work.x.fill(static_cast<std::uint64_t>(i));
      const auto wanted = work.plain(*weight_);
      ASSERT_EQ(work.repeated(recording, *weight_, memory()), wanted) << rows << " rows, " << i;
    }
  }
}

TEST_P(Panels, AreSharedByRecordingsOnTheSameMemoryAndDroppedWithTheLast) {
  Work one(*backend_, GetParam(), 1), four(*backend_, GetParam(), 4);
  const auto before_of_one = one.plain(*weight_), before_of_four = four.plain(*weight_);
  std::unique_ptr<Backend::Recording> of_one, of_four, other, late;
  for (int i = 0; i < times; ++i) one.repeated(of_one, *weight_, memory());
  weight_->fill(2);
  const auto after_of_four = four.plain(*weight_);
  ASSERT_NE(after_of_four, before_of_four);
  EXPECT_EQ(one.repeated(of_one, *weight_, memory()), before_of_one);
  EXPECT_EQ(four.repeated(of_four, *weight_, memory()), before_of_four);
  EXPECT_EQ(four.repeated(other, *weight_, {weight_->view.data, &other}), after_of_four);
  of_one.reset();
  EXPECT_EQ(four.repeated(of_four, *weight_, memory()), before_of_four);
  of_four.reset();
  EXPECT_EQ(four.repeated(late, *weight_, memory()), after_of_four);
}

TEST_P(Panels, AreMadeAnewOnOtherMemory) {
  Work work(*backend_, GetParam(), 1);
  std::unique_ptr<Backend::Recording> recording;
  for (int i = 0; i < times; ++i) work.repeated(recording, *weight_, memory());
  weight_->fill(2);
  const auto wanted = work.plain(*weight_);
  for (int i = 0; i < times; ++i) {
    ASSERT_EQ(work.repeated(recording, *weight_, {weight_->view.data, &work}), wanted);
  }
}

// Such a weight may be the result of an op.
TEST_P(Panels, AreNotMadeOfWhatTheWorkDoesNotStandOn) {
  Work work(*backend_, GetParam(), 1);
  std::unique_ptr<Backend::Recording> recording;
  for (int i = 0; i < times; ++i) {
    weight_->begin_with(static_cast<float>(i));
    const auto wanted = work.plain(*weight_);
    ASSERT_EQ(work.repeated(recording, *weight_, {&work}), wanted);
  }
}

TEST_P(Panels, AreNotMadeWhereTheyAreNotWanted) {
  set_up("panels = false");
  Work work(*backend_, GetParam(), 1);
  std::unique_ptr<Backend::Recording> recording;
  for (int i = 0; i < times; ++i) {
    weight_->begin_with(static_cast<float>(i));
    const auto wanted = work.plain(*weight_);
    ASSERT_EQ(work.repeated(recording, *weight_, memory()), wanted);
  }
}
}  // namespace
}  // namespace lathe
