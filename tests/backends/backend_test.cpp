#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <lathe/base/threads.h>
#include <lathe/config/toml.h>
#include <lathe/conform/op_cases.h>
#include <lathe/plugin/registry.h>

#include "composed_backend.h"

namespace lathe {
namespace {
using namespace conform;

Registry& registry() {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  return registry;
}

std::unique_ptr<Backend> made(const std::string& name, const std::string& options = "") {
  return registry().create<Backend>(name, parse_toml(options, "backend_test"));
}

Backend& reference() {
  static const std::unique_ptr<Backend> backend = made("reference");
  return *backend;
}

// A backend under test, and its first op that is its own.
struct Tested {
  std::string name;
  Backend& backend;
  Op first = Op::copy;
};

const std::vector<Tested>& backends() {
  static ComposedBackend composed(reference());
  static const std::unique_ptr<Backend> own = made("onednn");
  static const std::unique_ptr<Backend> onednn = made("onednn", "matmul = 'onednn'");
  static const std::vector<Tested> list{{"reference", reference()},
                                        {"composed", composed, Op::linear},
                                        {"onednn", *own},
                                        {"onednn_matmul", *onednn}};
  return list;
}

using Parameter = std::tuple<std::size_t, Op>;  // place in backends(), op

std::vector<Parameter> parameters() {
  std::vector<Parameter> list;
  for (std::size_t i = 0; i < backends().size(); ++i) {
    for (const Op op : all_ops()) {
      if (op >= backends()[i].first) list.emplace_back(i, op);
    }
  }
  return list;
}

std::string joined(const std::vector<std::string>& failures) {
  std::string text;
  for (const std::string& failure : failures) text += "\n" + failure;
  return text;
}

class BackendContract : public ::testing::TestWithParam<Parameter> {
 protected:
  Backend& backend() const { return backends()[std::get<0>(GetParam())].backend; }
  Op op() const { return std::get<1>(GetParam()); }
};

TEST_P(BackendContract, Results) {
  const auto failures = check_results(op(), backend(), reference());
  EXPECT_TRUE(failures.empty()) << joined(failures);
}

TEST_P(BackendContract, SameBits) {
  const auto failures = check_same_bits(op(), backend());
  EXPECT_TRUE(failures.empty()) << joined(failures);
}

std::string name_of_parameter(const ::testing::TestParamInfo<Parameter>& info) {
  return backends()[std::get<0>(info.param)].name + "_" + name_of(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendContract, ::testing::ValuesIn(parameters()),
                         name_of_parameter);

class ReferenceGradients : public ::testing::TestWithParam<Op> {};

TEST_P(ReferenceGradients, AgreeWithCentralDifferences) {
  const auto failures = check_gradients(GetParam(), reference());
  EXPECT_TRUE(failures.empty()) << joined(failures);
}

std::vector<Op> ops_with_gradients() {
  std::vector<Op> list;
  for (const Op op : all_ops()) {
    for (const Case& test : cases_of(op)) {
      if (test.gradients.empty()) continue;
      list.push_back(op);
      break;
    }
  }
  return list;
}

std::string name_of_op(const ::testing::TestParamInfo<Op>& info) { return name_of(info.param); }

INSTANTIATE_TEST_SUITE_P(Ops, ReferenceGradients, ::testing::ValuesIn(ops_with_gradients()),
                         name_of_op);

TEST(BackendSuite, EveryGradientOpIsDifferentiated) {
  std::set<std::string> names;
  for (const Op op : ops_with_gradients()) names.insert(name_of(op));
  for (const char* name : {"softmax_gradient", "linear_gradient", "norm_gradient",
                           "attention_gradient", "embedding_gradient", "head_loss",
                           "head_tokens_gradient", "rotary", "swiglu_gradient", "scatter_add"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

// The list is written by hand; a virtual op that is missing there would go untested.
TEST(BackendSuite, TheListNamesEveryOpOfTheInterface) {
  std::ifstream file(LATHE_SOURCE "/framework/tensor/backend.h");
  ASSERT_TRUE(file) << "the source is not where it was compiled";
  std::stringstream text;
  text << file.rdbuf();
  const std::string source = text.str();
  std::set<std::string> declared;
  const std::regex pattern(R"(virtual (?:void|double) (\w+)\()");
  for (std::sregex_iterator found(source.begin(), source.end(), pattern), end; found != end;
       ++found) {
    declared.insert((*found)[1]);
  }
  // Memory, and the order of work: no ops.
  for (const char* other :
       {"release", "upload", "download", "synchronise", "hold", "let_go", "repeat"}) {
    declared.erase(other);
  }
  std::set<std::string> listed;
  for (const Op op : all_ops()) listed.insert(name_of(op));
  EXPECT_EQ(declared, listed);
}

// A planted fault must be found: each backend below is wrong in one way.
class Faulty : public Backend {
 public:
  std::string device() const override { return "faulty"; }
  bool supports(DType type) const override { return type == DType::f32; }
  void* allocate(std::size_t bytes) override { return reference().allocate(bytes); }
  void release(void* data, std::size_t bytes) override { reference().release(data, bytes); }
  void copy(const View& from, const View& to) override {
    reference().copy(from, to);
    // One element past the end.
    if (to.dtype == DType::f32 && to.is_dense()) to.as<float>()[to.count()] = 0;
  }
  void fill(const View& to, double) override { reference().fill(to, -1.25); }
  void unary(Unary op, const View& x, const View& y) override { reference().unary(op, x, y); }
  void binary(Binary op, const View& a, const View& b, const View& y) override {
    // Writes to an input.
    if (a.count() != 0 && a.dtype == DType::f32) a.as<float>()[0] = 9;
    reference().binary(op, a, b, y);
  }
  void where(const View& condition, const View& a, const View& b, const View& y) override {
    reference().where(condition, b, a, y);
  }
  void reduce(Reduce op, const View& x, const View& y) override {
    reference().reduce(op, x, y);
    calls_ += 1e-7;
    if (op == Reduce::sum && y.count() != 0) y.as<float>()[0] += static_cast<float>(calls_);
  }
  void matmul(const View& a, const View& b, const Target& y) override {
    // Forgets the last term.
    const std::int64_t K = a.shape[-1];
    const std::int64_t kept = K > 2 ? K - 1 : K;
    reference().matmul(sliced(a, -1, 0, kept), sliced(b, -2, 0, kept), y);
  }
  void softmax(const View& x, const View& y) override { reference().softmax(x, y); }
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override {
    reference().softmax_gradient(y, dy, {dx.view, false});  // never adds
  }
  void gather(const View&, const View&, const View&) override { fail("gather is broken"); }
  void scatter_add(const View& rows, const View& index, const View& table) override {
    reference().scatter_add(rows, index, table);
  }
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override {
    reference().dropout(x, probability, random.at(random.step + 1), y);
  }

 private:
  double calls_ = 0;
};

TEST(BackendSuite, FindsPlantedFaults) {
  Faulty faulty;
  const auto found = [&](Op op, const std::string& words) {
    return joined(check_results(op, faulty, reference())).find(words) != std::string::npos;
  };
  EXPECT_TRUE(found(Op::copy, "bytes outside its elements were written"));
  EXPECT_TRUE(found(Op::fill, "element 0 of 7 is -1.25, the reference has -1.5"));
  EXPECT_TRUE(found(Op::binary, "an input was written"));
  EXPECT_TRUE(found(Op::where, "the reference has"));
  EXPECT_TRUE(found(Op::matmul, "exact, f32, dense: y: element"));
  EXPECT_TRUE(found(Op::softmax_gradient, "dense, adding: dx: element"));
  EXPECT_TRUE(found(Op::gather, "threw \"gather is broken\""));
  EXPECT_TRUE(found(Op::dropout, "the reference has"));
  EXPECT_FALSE(found(Op::softmax, "element"));
  EXPECT_FALSE(check_same_bits(Op::reduce, faulty).empty());
  EXPECT_THROW(run_backend_suite(faulty, reference(), {Op::fill}), Error);
}

// ---- Products of the sizes of training, at several thread counts: the suite's own are so small
// that one thread takes them.

struct ProductSizes {
  std::int64_t N, I, O;
};

// y, dx and dweight of a linear layer, overwritten at each thread count.
void check_layer_bits(Backend& backend, const ProductSizes& of, DType dtype) {
  const auto random = [&](const Shape& shape, DType type, const char* name) {
    auto tensor = std::make_unique<HostTensor>(backend, type, shape, conform::Layout::dense);
    const RandomStream stream(5, name);
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.count(); ++i) {
      values.push_back(stream.uniform53(static_cast<std::uint64_t>(i)) - 0.5);
    }
    tensor->set(values);
    return tensor;
  };
  const auto x = random({of.N, of.I}, dtype, "x");
  const auto weight = random({of.O, of.I}, dtype, "weight");
  const auto bias = random({of.O}, DType::f32, "bias");
  const auto dy = random({of.N, of.O}, dtype, "dy");
  const auto before = random({of.N, of.O}, dtype, "before");
  const auto y = random({of.N, of.O}, dtype, "y");
  const auto dx = random({of.N, of.I}, dtype, "dx");
  const auto dweight = random({of.O, of.I}, DType::f32, "dweight");
  std::vector<std::uint64_t> bits;
  for (const int count : {1, 2, 4, 8}) {
    set_threads(count);
    backend.linear({.x = x->view(),
                    .weight = weight->view(),
                    .bias = bias->view(),
                    .residual = View{},
                    .activation = Activation::none,
                    .before = View{},
                    .y = y->view()});
    backend.linear_gradient({.x = x->view(),
                             .weight = weight->view(),
                             .activation = Activation::none,
                             .before = View{},
                             .dy = dy->view(),
                             .dx = {dx->view(), false},
                             .dweight = {dweight->view(), false},
                             .dbias = {}});
    std::vector<std::uint64_t> now;
    for (const HostTensor* tensor : {y.get(), dx.get(), dweight.get()}) {
      const std::vector<std::uint64_t> more = tensor->bits();
      now.insert(now.end(), more.begin(), more.end());
    }
    if (bits.empty()) bits = now;
    const auto [first, other] = std::mismatch(bits.begin(), bits.end(), now.begin());
    EXPECT_EQ(first, bits.end()) << Shape{of.N, of.I, of.O}.text() << " " << name_of(dtype)
                                 << ": element " << first - bits.begin()
                                 << " of y, dx and dweight differs with " << count << " threads";
  }
  set_threads(0);
}

class LargeProducts : public ::testing::TestWithParam<std::size_t> {};

TEST_P(LargeProducts, HaveTheSameBitsAtAnyNumberOfThreads) {
  for (const ProductSizes& of :
       {ProductSizes{1, 192, 1000}, ProductSizes{3, 300, 70}, ProductSizes{700, 64, 192},
        ProductSizes{2048, 96, 40}, ProductSizes{64, 2048, 33}, ProductSizes{130, 70, 1500},
        ProductSizes{512, 256, 512}, ProductSizes{8, 40, 20000}, ProductSizes{5, 12000, 24}}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      check_layer_bits(backends()[GetParam()].backend, of, dtype);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, LargeProducts, ::testing::Values(2, 3),
                         [](const auto& test) { return backends()[test.param].name; });

// linear() of `rows` rows with the weight [out, in] that lies at the address.
std::vector<float> layer(Backend& backend, std::int64_t rows, std::int64_t out, std::int64_t in,
                         float* weight) {
  std::vector<float> x(static_cast<std::size_t>(rows * in));
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) / 7 - 1.2F;
  backend.linear({.x = dense_view(x.data(), DType::f32, {rows, in}),
                  .weight = dense_view(weight, DType::f32, {out, in}),
                  .bias = {},
                  .residual = {},
                  .activation = Activation::relu,
                  .before = {},
                  .y = dense_view(y.data(), DType::f32, {rows, out})});
  return y;
}

class WeightsAtRest : public ::testing::TestWithParam<std::size_t> {};

// Two layers in one buffer, as parameters lie, and one that lies elsewhere and changes.
TEST_P(WeightsAtRest, GiveTheSameBitsAndAreForgottenAfterwards) {
  Backend& backend = backends()[GetParam()].backend;
  const std::int64_t in = 120, out = 84;
  const auto size = static_cast<std::size_t>(in * out);
  std::vector<float> flat(2 * size), elsewhere(size);
  for (std::size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i % 101) / 50 - 1;
  for (std::size_t i = 0; i < size; ++i) elsewhere[i] = static_cast<float>(i % 7) - 3;
  const View memory = dense_view(flat.data(), DType::f32, {static_cast<std::int64_t>(flat.size())});
  for (const std::int64_t rows : {1, 2, 3, 8, 20}) {
    const auto first = layer(backend, rows, out, in, flat.data());
    const auto second = layer(backend, rows, in, out, flat.data() + size);
    const auto third = layer(backend, rows, out, in, elsewhere.data());
    {
      const Held weights(backend, memory);
      for (int time = 0; time < 3; ++time) {
        EXPECT_EQ(layer(backend, rows, out, in, flat.data()), first);
        EXPECT_EQ(layer(backend, rows, in, out, flat.data() + size), second);
        // One address, two shapes.
        EXPECT_EQ(layer(backend, rows, 1, out, flat.data() + size)[0], second[0]);
      }
      EXPECT_EQ(layer(backend, rows, out, in, elsewhere.data()), third);
      for (float& value : elsewhere) value = -value;
      EXPECT_NE(layer(backend, rows, out, in, elsewhere.data()), third);
    }
    flat[0] += 100;  // now they may change
    const auto changed = layer(backend, rows, out, in, flat.data());
    const Held weights(backend, memory);
    EXPECT_EQ(layer(backend, rows, out, in, flat.data()), changed);
    flat[0] -= 200;
    backend.hold(memory);  // anew
    EXPECT_NE(layer(backend, rows, out, in, flat.data()), changed);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, WeightsAtRest, ::testing::Values(0, 1, 2, 3),
                         [](const auto& test) { return backends()[test.param].name; });

}  // namespace
}  // namespace lathe
