#include "gemm.h"

#include <lathe/base/error.h>
#include <omp.h>
#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "dispatch.h"
#include "gemm_private.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(gemm, Gemm)
LATHE_DECLARE_KERNEL(pack_panels, PanelPacking)

namespace {

struct Free {
  void operator()(float* at) const { std::free(at); }
};
struct Scratch {
  std::unique_ptr<float, Free> at;
  std::size_t bytes = 0;
};
thread_local Scratch scratch;

bool is_operand(DType type) { return type == DType::f32 || type == DType::bf16; }

void check_matrix(const char* name, const void* at, std::int64_t rows, std::int64_t columns,
                  std::int64_t row_step, std::int64_t column_step) {
  if (rows == 0 || columns == 0) return;
  if (at == nullptr) fail("gemm: ", name, " [", rows, ", ", columns, "] is null");
  const bool rows_free = rows == 1 || row_step == 1;
  const bool columns_free = columns == 1 || column_step == 1;
  if (!rows_free && !columns_free) {
    fail("gemm: ", name, " [", rows, ", ", columns, "] has strides ", row_step, " and ",
         column_step, "; one of them must be 1: make it contiguous first");
  }
}

void check(const Gemm& product) {
  const std::int64_t m = product.m, n = product.n, k = product.k;
  if (m < 0 || n < 0 || k < 0) fail("gemm: negative size: m ", m, ", n ", n, ", k ", k);
  if (!is_operand(product.ab_type) || !is_operand(product.c_type)) {
    fail("gemm: operands of type ", name_of(product.ab_type), " into ", name_of(product.c_type),
         "; only f32 and bf16 are known here");
  }
  check_matrix("A", product.a, m, k, product.a_row, product.a_column);
  check_matrix("B", product.b, k, n, product.b_row, product.b_column);
  check_matrix("C", product.c, m, n, product.c_row, 1);
  if (m > 1 && product.c_row < n) fail("gemm: rows of C overlap: c_row ", product.c_row, ", n ", n);
  if (product.add && product.activation != Activation::none) {
    fail("gemm: an activation of a sum with C is not defined; do it in two steps");
  }
}

}  // namespace

float* gemm_scratch(std::size_t floats) {
  constexpr std::size_t huge_page = std::size_t{1} << 21;
  const std::size_t bytes = (floats * sizeof(float) + huge_page - 1) / huge_page * huge_page;
  if (bytes > scratch.bytes) {
    scratch.at.reset();
    scratch.bytes = 0;
    scratch.at.reset(static_cast<float*>(std::aligned_alloc(huge_page, bytes)));
    if (!scratch.at) throw std::bad_alloc();
    // Only advice: without huge pages it is slower, not wrong.
    static_cast<void>(madvise(scratch.at.get(), bytes, MADV_HUGEPAGE));
    scratch.bytes = bytes;
  }
  return scratch.at.get();
}

void gemm(const Gemm& product) {
  check(product);
  if (product.m == 0 || product.n == 0) return;
  LATHE_CALL_KERNEL(gemm, product)
}

std::size_t panel_floats(std::int64_t n, std::int64_t k, DType type) {
  // Elsewhere a bf16 becomes an f32 in its panel, and takes twice the memory traffic.
  const bool gains = type == DType::f32 || best_isa() == Isa::avx512_bf16;
  const std::int64_t columns = best_isa() == Isa::avx2 ? 16 : 32;
  const std::int64_t units = type == DType::bf16 ? (k + 1) / 2 : k;
  return gains ? static_cast<std::size_t>((n + columns - 1) / columns * columns * units) : 0;
}

void pack_panels(const PanelPacking& packing) {
  if (!is_operand(packing.type)) {
    fail("pack_panels: operands of type ", name_of(packing.type), "; only f32 and bf16 are known");
  }
  check_matrix("B", packing.b, packing.k, packing.n, packing.b_row, packing.b_column);
  LATHE_CALL_KERNEL(pack_panels, packing)
}

void gemm_batched(const Gemm& product, std::int64_t count, std::int64_t a_step, std::int64_t b_step,
                  std::int64_t c_step) {
  if (count == 0) return;
  check(product);
  if (product.before != nullptr || product.residual != nullptr || product.b_panels != nullptr) {
    fail("gemm_batched: `before`, `residual` and `b_panels` are for single products");
  }
  if (count < 0) fail("gemm_batched: negative count ", count);
  if (product.m == 0 || product.n == 0) return;
  const auto ab_size = static_cast<std::int64_t>(size_of(product.ab_type));
  const auto c_size = static_cast<std::int64_t>(size_of(product.c_type));
  const auto one = [&](std::int64_t item) {
    Gemm each = product;
    each.a = static_cast<const std::byte*>(product.a) + item * a_step * ab_size;
    each.b = static_cast<const std::byte*>(product.b) + item * b_step * ab_size;
    each.c = static_cast<std::byte*>(product.c) + item * c_step * c_size;
    LATHE_CALL_KERNEL(gemm, each)
  };
  const int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  if (threads == 1 || count < 2 * threads) {
    for (std::int64_t item = 0; item < count; ++item) one(item);
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int64_t item = 0; item < count; ++item) one(item);
}

}  // namespace lathe::kernels
