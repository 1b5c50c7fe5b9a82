#include "elementwise_kernel.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class T>
void add_of(const Add& arguments) {
  const T* a = static_cast<const T*>(arguments.a);
  const T* b = static_cast<const T*>(arguments.b);
  T* y = static_cast<T*>(arguments.y);
  each_vector_parallel(arguments.count, [=](std::size_t i, auto n) {
    store(y + i, load(a + i, n) + load(b + i, n), n);
  });
}

template <class From, class To>
void cast_of(const Cast& a) {
  const From* x = static_cast<const From*>(a.x);
  To* y = static_cast<To*>(a.y);
  each_vector_parallel(a.count, [=](std::size_t i, auto n) { store(y + i, load(x + i, n), n); });
}

template <class T>
void fill_of(const Fill& a) {
  T* y = static_cast<T*>(a.y);
  const float value = a.value;
  each_vector_parallel(a.count, [=](std::size_t i, auto n) { store(y + i, broadcast(value), n); });
}

template <class T>
void column_sum_of(const ColumnSumTask& task) {
  const ColumnSum& a = task.arguments;
  const std::size_t blocks = blocks_of(a.rows, row_block);
  each_block(blocks, a.rows * a.width, [&](std::size_t block) {
    const std::size_t begin = block * row_block;
    const std::size_t end = begin + row_block < a.rows ? begin + row_block : a.rows;
    const T* x = static_cast<const T*>(a.x);
    float* partial = task.partials + block * a.width;
    // The first row starts the sum; then two rows at a time halve the traffic of the partial.
    each_vector(0, a.width, [&](std::size_t i, auto n) {
      store(partial + i, load(x + begin * a.stride + i, n), n);
    });
    std::size_t row = begin + 1;
    for (; row + 2 <= end; row += 2) {
      const T* first = x + row * a.stride;
      const T* second = first + a.stride;
      each_vector(0, a.width, [&](std::size_t i, auto n) {
        store(partial + i, load(partial + i, n) + load(first + i, n) + load(second + i, n), n);
      });
    }
    for (; row < end; ++row) {
      each_vector(0, a.width, [&](std::size_t i, auto n) {
        store(partial + i, load(partial + i, n) + load(x + row * a.stride + i, n), n);
      });
    }
  });
  if (a.rows > 0) add_partials(a.out, task.partials, blocks, a.width, a.width);
}

// Four doubles at every instruction set, so that the order of the sum is the same.
double block_squares(const float* x, std::size_t count) {
  __m256d total[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                      _mm256_setzero_pd()};
  each_vector(0, count, [&](std::size_t i, auto n) {
    const vfloat value = load(x + i, n);
    const __m256 low = lower_half(value);
    const __m256 high = upper_half(value);
    const __m256d parts[4] = {_mm256_cvtps_pd(_mm256_castps256_ps128(low)),
                              _mm256_cvtps_pd(_mm256_extractf128_ps(low, 1)),
                              _mm256_cvtps_pd(_mm256_castps256_ps128(high)),
                              _mm256_cvtps_pd(_mm256_extractf128_ps(high, 1))};
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      total[part] = _mm256_fmadd_pd(parts[part], parts[part], total[part]);
    }
  });
  const __m256d all = (total[0] + total[1]) + (total[2] + total[3]);
  return (all[0] + all[2]) + (all[1] + all[3]);
}

}  // namespace

void add(const Add& arguments) {
  arguments.dtype == DType::bf16 ? add_of<bf16>(arguments) : add_of<float>(arguments);
}

void cast(const Cast& arguments) {
  if (arguments.from == DType::bf16) {
    arguments.to == DType::bf16 ? cast_of<bf16, bf16>(arguments) : cast_of<bf16, float>(arguments);
  } else {
    arguments.to == DType::bf16 ? cast_of<float, bf16>(arguments)
                                : cast_of<float, float>(arguments);
  }
}

void fill(const Fill& arguments) {
  arguments.dtype == DType::bf16 ? fill_of<bf16>(arguments) : fill_of<float>(arguments);
}

void column_sum(const ColumnSumTask& task) {
  task.arguments.dtype == DType::bf16 ? column_sum_of<bf16>(task) : column_sum_of<float>(task);
}

void sum_of_squares(const SquareSumTask& task) {
  const std::size_t blocks = blocks_of(task.count, flat_block);
  each_block(blocks, task.count, [&](std::size_t block) {
    const std::size_t begin = block * flat_block;
    const std::size_t left = task.count - begin;
    task.partials[block] = block_squares(task.x + begin, left < flat_block ? left : flat_block);
  });
}

}  // namespace lathe::kernels::LATHE_ISA
