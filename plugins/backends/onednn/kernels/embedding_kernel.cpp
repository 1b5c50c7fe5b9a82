#include "embedding.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class Table, class Out>
void forward_row(const EmbeddingForward& a, std::size_t row) {
  const std::int32_t token = a.token[row];
  const bool placed = token >= 0 && a.position_table != nullptr;
  const std::int32_t position = placed ? a.position[row] : -1;
  const Table* tokens = static_cast<const Table*>(a.token_table);
  const Table* positions = static_cast<const Table*>(a.position_table);
  if (token >= 0) tokens += static_cast<std::size_t>(token) * a.width;
  if (position >= 0) positions += static_cast<std::size_t>(position) * a.width;
  Out* out = static_cast<Out*>(a.out) + row * a.width;
  each_vector(0, a.width, [&](std::size_t i, auto n) {
    vfloat value = broadcast(0);
    if (token >= 0) value = load(tokens + i, n) * broadcast(a.scale);
    if (position >= 0) value = value + load(positions + i, n);
    store(out + i, value, n);
  });
}

template <class Table, class Out>
void forward(const EmbeddingForward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) forward_row<Table, Out>(a, row);
}

template <class T>
void add_rows(const EmbeddingBackward& a, float* table, const std::int32_t* index, float scale,
              std::size_t begin, std::size_t end) {
  for (std::size_t row = 0; row < a.rows; ++row) {
    if (a.token[row] < 0 || index[row] < 0) continue;
    float* to = table + static_cast<std::size_t>(index[row]) * a.width;
    const T* from = static_cast<const T*>(a.dout) + row * a.width;
    each_vector(begin, end, [&](std::size_t i, auto n) {
      store(to + i, fma(broadcast(scale), load(from + i, n), load(to + i, n)), n);
    });
  }
}

// Each task owns columns, so every element of a table is summed by one thread in the order of rows.
template <class T>
void backward(const EmbeddingBackward& a) {
  constexpr std::size_t stripe = 8 * lanes;
  const std::size_t stripes = blocks_of(a.width, stripe);
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t at = 0; at < stripes; ++at) {
    const std::size_t begin = at * stripe;
    const std::size_t end = begin + stripe < a.width ? begin + stripe : a.width;
    if (a.dtoken_table != nullptr) {
      add_rows<T>(a, a.dtoken_table, a.token, a.scale, begin, end);
    }
    if (a.dposition_table != nullptr) {
      add_rows<T>(a, a.dposition_table, a.position, 1.0f, begin, end);
    }
  }
}

}  // namespace

void embedding_forward(const EmbeddingForward& a) {
  if (a.table_dtype == DType::bf16) {
    a.dtype == DType::bf16 ? forward<bf16, bf16>(a) : forward<bf16, float>(a);
  } else {
    a.dtype == DType::bf16 ? forward<float, bf16>(a) : forward<float, float>(a);
  }
}

void embedding_backward(const EmbeddingBackward& a) {
  a.dtype == DType::bf16 ? backward<bf16>(a) : backward<float>(a);
}

}  // namespace lathe::kernels::LATHE_ISA
