#include <lathe/base/error.h>
#include <lathe/data/dataset.h>

namespace lathe {

Dataset::~Dataset() = default;

std::span<const std::int32_t> Dataset::stream(Split) const { return {}; }

Example Dataset::rejected(Split, std::int64_t) const {
  fail(
      "this dataset has no rejected responses: preferences need one with pairs, such as "
      "[data] use = \"preferences\"");
}

std::vector<DataFile> Dataset::files() const { return {}; }

std::string_view name_of(Split split) { return split == Split::train ? "training" : "validation"; }

}  // namespace lathe
