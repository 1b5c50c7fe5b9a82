#include "norm_kernel.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class T>
void add_rows(const T* a, const T* b, T* sum, std::size_t width) {
  each_vector(0, width,
              [&](std::size_t i, auto n) { store(sum + i, load(a + i, n) + load(b + i, n), n); });
}

template <class T>
float mean_of(const T* x, std::size_t width) {
  four total = all_four(0);
  each_vector_of_four(
      width, [&](std::size_t i, auto n, int k) { total.at[k] = total.at[k] + load(x + i, n); });
  return sum(total) / static_cast<float>(width);
}

template <class T>
float rstd_of(const T* x, std::size_t width, float mean, float epsilon) {
  four total = all_four(0);
  const vfloat zero = broadcast(0);
  const vfloat centre = broadcast(mean);
  each_vector_of_four(width, [&](std::size_t i, auto n, int k) {
    const vfloat from_mean = keep(load(x + i, n) - centre, n, zero);
    total.at[k] = fma(from_mean, from_mean, total.at[k]);
  });
  return 1.0f / __builtin_sqrtf(sum(total) / static_cast<float>(width) + epsilon);
}

template <class T>
void forward_row(const NormForward& a, std::size_t row) {
  const std::size_t width = a.width;
  const T* x = static_cast<const T*>(a.x) + row * width;
  if (a.residual != nullptr) {
    T* sum = static_cast<T*>(a.sum) + row * width;
    add_rows(x, static_cast<const T*>(a.residual) + row * width, sum, width);
    x = sum;
  }
  const float mean = a.rms ? 0.0f : mean_of(x, width);
  const float rstd = rstd_of(x, width, mean, a.epsilon);
  if (a.mean != nullptr && !a.rms) a.mean[row] = mean;
  if (a.rstd != nullptr) a.rstd[row] = rstd;

  T* y = static_cast<T*>(a.y) + row * width;
  const vfloat scale = broadcast(rstd);
  const vfloat centre = broadcast(mean);
  each_vector(0, width, [&](std::size_t i, auto n) {
    vfloat value = (load(x + i, n) - centre) * scale;
    if (a.weight != nullptr) value = value * load(a.weight + i, n);
    if (a.bias != nullptr) value = value + load(a.bias + i, n);
    store(y + i, value, n);
  });
}

template <class T>
void forward(const NormForward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) forward_row<T>(a, row);
}

struct RowSums {
  float gradient;   // mean of g
  float projected;  // mean of g h
};

// Adds the row to the block's dweight and dbias (when wanted) and returns the two means.
template <class T>
RowSums backward_sums(const NormBackward& a, const T* dy, const T* x, float mean, float rstd,
                      float* dweight, float* dbias) {
  four gradient = all_four(0);
  four projected = all_four(0);
  const vfloat centre = broadcast(mean);
  const vfloat scale = broadcast(rstd);
  each_vector_of_four(a.width, [&](std::size_t i, auto n, int k) {
    const vfloat from = load(dy + i, n);
    const vfloat h = (load(x + i, n) - centre) * scale;
    if (dweight != nullptr) {
      store(dweight + i, fma(from, h, load(dweight + i, n)), n);
      store(dbias + i, from + load(dbias + i, n), n);
    }
    const vfloat g = a.weight != nullptr ? from * load(a.weight + i, n) : from;
    gradient.at[k] = gradient.at[k] + g;
    projected.at[k] = fma(g, h, projected.at[k]);
  });
  const float count = static_cast<float>(a.width);
  return {a.rms ? 0.0f : sum(gradient) / count, sum(projected) / count};
}

template <class T>
void backward_row(const NormBackward& a, std::size_t row, float* dweight, float* dbias) {
  const std::size_t offset = row * a.width;
  const T* dy = static_cast<const T*>(a.dy) + offset;
  const T* x = static_cast<const T*>(a.sum) + offset;
  const float mean = a.rms ? 0.0f : a.mean[row];
  const RowSums sums = backward_sums(a, dy, x, mean, a.rstd[row], dweight, dbias);
  if (a.dx == nullptr) return;

  T* dx = static_cast<T*>(a.dx) + offset;
  const T* dsum = a.dsum != nullptr ? static_cast<const T*>(a.dsum) + offset : nullptr;
  const vfloat centre = broadcast(mean);
  const vfloat scale = broadcast(a.rstd[row]);
  const vfloat gradient = broadcast(sums.gradient);
  const vfloat projected = broadcast(sums.projected);
  each_vector(0, a.width, [&](std::size_t i, auto n) {
    vfloat g = load(dy + i, n);
    if (a.weight != nullptr) g = g * load(a.weight + i, n);
    const vfloat h = (load(x + i, n) - centre) * scale;
    vfloat value = fma(-h, projected, g - gradient) * scale;
    if (dsum != nullptr) value = value + load(dsum + i, n);
    if (a.add) value = value + load(dx + i, n);
    store(dx + i, value, n);
  });
}

template <class T>
void backward(const NormBackwardTask& task) {
  const NormBackward& a = task.arguments;
  const std::size_t blocks = blocks_of(a.rows, row_block);
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t block = 0; block < blocks; ++block) {
    float* dweight = nullptr;
    float* dbias = nullptr;
    if (task.partials != nullptr) {
      dweight = task.partials + block * 2 * a.width;
      dbias = dweight + a.width;
      each_vector(0, 2 * a.width,
                  [&](std::size_t i, auto n) { store(dweight + i, broadcast(0), n); });
    }
    const std::size_t begin = block * row_block;
    const std::size_t end = begin + row_block < a.rows ? begin + row_block : a.rows;
    for (std::size_t row = begin; row < end; ++row) backward_row<T>(a, row, dweight, dbias);
  }
  if (a.rows == 0) return;
  if (a.dweight != nullptr) add_partials(a.dweight, task.partials, blocks, 2 * a.width, a.width);
  if (a.dbias != nullptr) {
    add_partials(a.dbias, task.partials + a.width, blocks, 2 * a.width, a.width);
  }
}

}  // namespace

void norm_forward(const NormForward& arguments) {
  arguments.dtype == DType::bf16 ? forward<bf16>(arguments) : forward<float>(arguments);
}

void norm_backward(const NormBackwardTask& task) {
  task.arguments.dtype == DType::bf16 ? backward<bf16>(task) : backward<float>(task);
}

}  // namespace lathe::kernels::LATHE_ISA
