// A matrix product in cuBLASLt's own terms: column-major matrices, leading dimensions, an epilogue.
// This is the border to the library; the tests put plain loops in its place, so that everything
// above it (which operand is transposed, what is fused) is run without a GPU.
#pragma once

#include <lathe/tensor/dtype.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime.h"

namespace lathe::cuda {

// What happens to the product before it is written. With `aux`, the value before the activation is
// written there as well.
enum class Epilogue : std::uint8_t { none, gelu_tanh, relu };

// A column-major matrix [rows, columns] whose columns lie `leading` elements apart.
struct ColumnMajor {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t leading = 0;
  std::int64_t batch_step = 0;  // elements from one matrix of the batch to the next

  auto operator<=>(const ColumnMajor&) const = default;
};

// D = epilogue(op(A) op(B) + beta C + bias), op(A) [m, k], op(B) [k, n]; batched where batch > 1.
struct Product {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::int64_t batch = 1;
  bool transpose_a = false;
  bool transpose_b = false;
  ColumnMajor a, b, d;  // as they lie in memory; C lies like D but for its leading dimension
  std::int64_t c_leading = 0;
  DType in = DType::f32;   // of A and B
  DType out = DType::f32;  // of C and D, the bias and aux
  bool adds = false;       // beta is 1, else 0
  bool has_bias = false;   // [m], the same for each column
  bool has_aux = false;    // lies like D
  Epilogue epilogue = Epilogue::none;
  bool tf32 = false;          // round f32 operands to TF32
  std::size_t alignment = 0;  // bytes, of every operand

  auto operator<=>(const Product&) const = default;
  // All of the above in one line: what a saved choice is found by.
  std::string key() const;
};

struct ProductOperands {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;
  void* d = nullptr;
  const void* bias = nullptr;
  void* aux = nullptr;
};

// One way to compute a product: opaque, of one version of the library on one kind of device.
struct Algorithm {
  std::array<std::uint64_t, 8> words{};

  bool operator==(const Algorithm&) const = default;
};

class ProductLibrary {
 public:
  virtual ~ProductLibrary() = default;

  // Version and device: choices made under another one mean nothing.
  virtual std::string identity() const = 0;
  // The library's candidates, the most promising first; none where it cannot do the product.
  virtual std::vector<Algorithm> candidates(const Product& product, int most) = 0;
  virtual void run(const Product& product, const Algorithm& algorithm,
                   const ProductOperands& operands, Stream stream) = 0;
  // Milliseconds on the device since the last call, once all work before this has ended.
  virtual float lap(Stream stream) = 0;
};

// cuBLASLt, opened at run time; an Error that says where it was looked for when it is missing.
std::unique_ptr<ProductLibrary> open_product_library(int device);

}  // namespace lathe::cuda
