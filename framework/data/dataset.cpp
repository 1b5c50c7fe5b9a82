#include <lathe/data/dataset.h>

namespace lathe {

Dataset::~Dataset() = default;

std::span<const std::int32_t> Dataset::stream(Split) const { return {}; }

std::vector<DataFile> Dataset::files() const { return {}; }

std::string_view name_of(Split split) { return split == Split::train ? "training" : "validation"; }

}  // namespace lathe
