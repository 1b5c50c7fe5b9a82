#include "products.h"

#include <algorithm>
#include <cmath>

#include <lathe/base/error.h>

#include "memory.h"

namespace lathe::cuda {

std::unique_ptr<ProductLibrary> open_product_library(int) {
  return std::make_unique<emulated::PlainProducts>();
}

namespace emulated {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

float read(const void* data, DType type, std::int64_t index) {
  if (type == DType::f32) return static_cast<const float*>(data)[index];
  return static_cast<float>(static_cast<const bf16*>(data)[index]);
}
void write(void* data, DType type, std::int64_t index, float value) {
  if (type == DType::f32) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<bf16*>(data)[index] = bf16(value);
  }
}

float activated(Epilogue epilogue, float x) {
  switch (epilogue) {
    case Epilogue::none:
      return x;
    case Epilogue::gelu_tanh:
      return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
    case Epilogue::relu:
      return std::max(x, 0.0f);
  }
  return x;
}

void expect(bool holds, const Product& product, const char* rule) {
  if (!holds) fail("cuBLASLt would refuse the product ", product.key(), ": ", rule);
}

// The rules of the library's documentation, cublasLtMatmul() and cublasLtEpilogue_t.
void check(const Product& p, const ProductOperands& o) {
  const auto is = [](const ColumnMajor& matrix, std::int64_t rows, std::int64_t columns, bool t) {
    return matrix.rows == (t ? columns : rows) && matrix.columns == (t ? rows : columns);
  };
  expect(p.m > 0 && p.n > 0 && p.k > 0 && p.batch > 0, p, "empty");
  expect(is(p.a, p.m, p.k, p.transpose_a), p, "A has another shape");
  expect(is(p.b, p.k, p.n, p.transpose_b), p, "B has another shape");
  expect(is(p.d, p.m, p.n, false), p, "D has another shape");
  for (const ColumnMajor& matrix : {p.a, p.b, p.d}) {
    expect(matrix.leading >= matrix.rows, p, "a leading dimension is shorter than a column");
  }
  expect(p.c_leading >= p.m, p, "C's leading dimension is shorter than a column");
  expect(p.batch == 1 || p.d.batch_step >= p.m, p, "the batch overlaps in D");
  expect(p.in == p.out || (p.in == DType::bf16 && p.out == DType::f32), p, "types");
  expect(p.has_bias == (o.bias != nullptr), p, "the bias is missing or not asked for");
  expect(p.has_aux == (o.aux != nullptr), p, "aux is missing or not asked for");
  expect(!p.has_aux || p.epilogue == Epilogue::gelu_tanh, p, "only GELU writes its input");
  expect(!p.has_aux || p.d.leading % 8 == 0, p, "aux needs a leading dimension of eights");
  expect(!p.tf32 || p.in == DType::f32, p, "TF32 is of f32");
  for (const void* data : {o.a, o.b, o.c, static_cast<const void*>(o.d)}) {
    expect(data != nullptr && reinterpret_cast<std::uintptr_t>(data) % p.alignment == 0, p,
           "an operand is missing or lies on another alignment than was said");
  }
}
}  // namespace

std::vector<Asked>& asked_products() {
  static std::vector<Asked> asked;
  return asked;
}
std::vector<float>& coming_laps() {
  static std::vector<float> laps;
  return laps;
}

std::vector<Algorithm> PlainProducts::candidates(const Product&, int most) {
  std::vector<Algorithm> all;
  for (int i = 0; i < std::min(most, 3); ++i) {
    all.push_back({{static_cast<std::uint64_t>(i) + 1}});
  }
  return all;
}

void PlainProducts::run(const Product& p, const Algorithm& algorithm,
                        const ProductOperands& operands, Stream stream) {
  check(p, operands);
  if (only_noted(stream, [=, this] { run(p, algorithm, operands, stream); })) return;
  asked_products().push_back({p, algorithm});
  const Opened opened;
  const auto element = [](const ColumnMajor& matrix, bool transposed, std::int64_t row,
                          std::int64_t column) {
    return transposed ? row * matrix.leading + column : column * matrix.leading + row;
  };
  std::vector<float> results(at(p.m * p.n));
  for (std::int64_t batch = 0; batch < p.batch; ++batch) {
    for (std::int64_t n = 0; n < p.n; ++n) {
      for (std::int64_t m = 0; m < p.m; ++m) {
        float sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k) {
          sum +=
              read(operands.a, p.in, batch * p.a.batch_step + element(p.a, p.transpose_a, m, k)) *
              read(operands.b, p.in, batch * p.b.batch_step + element(p.b, p.transpose_b, k, n));
        }
        const std::int64_t place = batch * p.d.batch_step + n * p.d.leading + m;
        const std::int64_t before = batch * p.d.batch_step + n * p.c_leading + m;
        if (p.adds) sum += read(operands.c, p.out, before);
        if (p.has_bias) sum += read(operands.bias, p.out, m);
        if (p.has_aux) write(operands.aux, p.out, place, sum);
        results[at(n * p.m + m)] = activated(p.epilogue, sum);
      }
    }
    for (std::int64_t n = 0; n < p.n; ++n) {
      for (std::int64_t m = 0; m < p.m; ++m) {
        write(operands.d, p.out, batch * p.d.batch_step + n * p.d.leading + m,
              results[at(n * p.m + m)]);
      }
    }
  }
}

float PlainProducts::lap(Stream stream) {
  demand_no_graph(stream, "measuring");
  if (coming_laps().empty()) return 1;
  const float next = coming_laps().front();
  coming_laps().erase(coming_laps().begin());
  return next;
}

}  // namespace emulated
}  // namespace lathe::cuda
