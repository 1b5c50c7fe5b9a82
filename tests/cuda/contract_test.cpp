// The contract of a backend, held by the kernels and the host code of the cuda plugin on the
// emulator: every op, layout and dtype against `reference` in f64, and the same bits in whatever
// order threads and blocks come.
#include <gtest/gtest.h>

#include <lathe/config/toml.h>
#include <lathe/conform/op_cases.h>
#include <lathe/plugin/registry.h>

#include "cuda.h"

namespace lathe {
namespace {
using namespace conform;

Backend& reference() {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  static const std::unique_ptr<Backend> backend = registry.create<Backend>("reference", Config());
  return *backend;
}

struct Tested {
  const char* name;
  const char* options;
};
// Linear layers with their epilogue inside of the product and after it; the head in several chunks.
constexpr Tested tested[] = {{"fused", "fuse = 'always'\ndeterministic = true"},
                             {"apart", "fuse = 'never'\ndeterministic = true"},
                             {"chunks", "head_rows = 64\ndeterministic = true"}};

Backend& backend(std::size_t which) {
  static CudaBackend fused(parse_toml(tested[0].options, "contract_test"));
  static CudaBackend apart(parse_toml(tested[1].options, "contract_test"));
  static CudaBackend chunks(parse_toml(tested[2].options, "contract_test"));
  return which == 0 ? fused : which == 1 ? apart : chunks;
}

using Parameter = std::tuple<std::size_t, Op>;

class CudaContract : public ::testing::TestWithParam<Parameter> {
 protected:
  Backend& under_test() const { return backend(std::get<0>(GetParam())); }
  Op op() const { return std::get<1>(GetParam()); }
  static void expect_none(const std::vector<std::string>& failures) {
    std::string text;
    for (const std::string& failure : failures) text += "\n" + failure;
    EXPECT_TRUE(failures.empty()) << text.substr(0, 4000);
  }
};

TEST_P(CudaContract, Results) { expect_none(check_results(op(), under_test(), reference())); }
TEST_P(CudaContract, SameBits) { expect_none(check_same_bits(op(), under_test())); }

std::vector<Parameter> parameters() {
  std::vector<Parameter> list;
  for (const Op op : all_ops()) list.emplace_back(0, op);
  list.emplace_back(1, Op::linear);
  for (const Op op : {Op::head_loss, Op::head_tokens, Op::head_tokens_gradient}) {
    list.emplace_back(2, op);
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(Emulated, CudaContract, ::testing::ValuesIn(parameters()),
                         [](const ::testing::TestParamInfo<Parameter>& of) {
                           return std::string(tested[std::get<0>(of.param)].name) + "_" +
                                  name_of(std::get<1>(of.param));
                         });

}  // namespace
}  // namespace lathe
