#include "embedding.h"

#include <lathe/base/error.h>

#include "dispatch.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(embedding_forward, EmbeddingForward)
LATHE_DECLARE_KERNEL(embedding_backward, EmbeddingBackward)

namespace {

void check_indices(const std::int32_t* index, std::size_t rows, std::size_t limit,
                   std::string_view what) {
  for (std::size_t row = 0; row < rows; ++row) {
    if (index[row] >= 0 && static_cast<std::size_t>(index[row]) >= limit) {
      fail("embedding: ", what, " ", index[row], " of row ", row, " is not below ", limit,
           ", the rows of its table");
    }
  }
}

}  // namespace

void embedding_forward(const EmbeddingForward& a) {
  require_float(a.table_dtype, "embedding");
  require_float(a.dtype, "embedding");
  check_indices(a.token, a.rows, a.vocabulary, "token");
  if (a.position_table != nullptr) check_indices(a.position, a.rows, a.positions, "position");
  LATHE_CALL_KERNEL(embedding_forward, a)
}

void embedding_backward(const EmbeddingBackward& a) {
  require_float(a.dtype, "embedding backward");
  if (a.dtoken_table != nullptr) check_indices(a.token, a.rows, a.vocabulary, "token");
  if (a.dposition_table != nullptr) check_indices(a.position, a.rows, a.positions, "position");
  LATHE_CALL_KERNEL(embedding_backward, a)
}

}  // namespace lathe::kernels
