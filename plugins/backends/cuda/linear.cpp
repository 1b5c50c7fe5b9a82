// Matrix products and linear layers: how row-major views become what cuBLASLt is asked, and what is
// fused into its epilogue.
#include "linear.h"

#include <device/range.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "cuda.h"
#include "product_choices.h"
#include "walk.h"

namespace lathe {
using namespace cuda;

namespace {
struct Operand {
  ColumnMajor matrix;
  bool transposed = false;
};

// A row-major matrix view [R, S] read as the column-major matrix [S, R]: as it lies, or through a
// transposition. Nothing where neither axis lies together (or rows overlap).
std::optional<Operand> operand_of(const View& view) {
  const std::int64_t R = view.shape[-2];
  const std::int64_t S = view.shape[-1];
  const std::int64_t row = R == 1 ? S : view.stride(-2);
  const std::int64_t column = S == 1 ? 1 : view.stride(-1);
  if (column == 1 && row >= S) return Operand{{S, R, row, 0}, false};
  const std::int64_t across = S == 1 ? R : view.stride(-1);
  if ((R == 1 || view.stride(-2) == 1) && across >= R) return Operand{{R, S, across, 0}, true};
  return std::nullopt;
}

// The largest power of two up to 16 that divides all of these numbers of bytes.
std::size_t common_alignment(std::initializer_list<std::size_t> numbers) {
  std::size_t all = 16;
  for (const std::size_t number : numbers) all |= number;
  return std::size_t{1} << std::countr_zero(all);
}
std::size_t address(const void* data) { return reinterpret_cast<std::uintptr_t>(data); }

bool is_rows(const View& view) {
  return !view || (view.shape.rank() == 2 && (view.stride(1) == 1 || view.shape[1] == 1));
}

View moved(const View& view, std::int64_t elements) {
  View result = view;
  result.data = static_cast<std::byte*>(view.data) +
                elements * static_cast<std::int64_t>(size_of(view.dtype));
  return result;
}
}  // namespace

// One batch of products of which all descriptions are known to fit.
bool CudaBackend::run_product(Product& product, const ProductOperands& operands) {
  const auto bytes = [](std::int64_t elements, DType type) {
    return static_cast<std::size_t>(elements) * size_of(type);
  };
  product.alignment = common_alignment(
      {address(operands.a), address(operands.b), address(operands.c), address(operands.d),
       address(operands.aux), bytes(product.a.leading, product.in),
       bytes(product.b.leading, product.in), bytes(product.d.leading, product.out),
       bytes(product.c_leading, product.out), bytes(product.a.batch_step, product.in),
       bytes(product.b.batch_step, product.in), bytes(product.d.batch_step, product.out)});
  product.tf32 = with_.matmul == "tf32" && product.in == DType::f32;
  // A product that adds onto itself is measured beside its result.
  const bool apart = product.adds && operands.c == operands.d && products_->measures() &&
                     !products_->knows(product);
  const std::int64_t reach =
      (product.batch - 1) * product.d.batch_step + (product.n - 1) * product.d.leading + product.m;
  const Space trial(*this, apart ? bytes(reach, product.out) : 0);
  const auto choice = products_->choose(product, operands, trial.as<void>(), stream_);
  if (!choice) return false;
  products_->run(product, *choice, operands, stream_);
  return true;
}

// y [M, N] (+)= a [M, K] b [K, N], batched. Column-major, that is y^T = b^T a^T.
void CudaBackend::multiply(const View& a, const View& b, const Target& y) {
  const std::int64_t K = a.shape[-1];
  if (y.view.count() == 0) return;
  if (K == 0) {
    if (!y.add) fill(y.view, 0);
    return;
  }
  const auto left = operand_of(b);
  const auto right = operand_of(a);
  const auto result = operand_of(y.view);
  if (!left || !right || !result || result->transposed || a.dtype != b.dtype) {
    return multiply_dense(a, b, y);
  }
  Shape batch;
  for (int axis = 0; axis < a.shape.rank() - 2; ++axis) batch.push_back(a.shape[axis]);
  const Walk<3> walk = walk_of<3>(batch, {&a.strides, &b.strides, &y.view.strides});
  const int last = walk.rank - 1;
  Product product{.m = b.shape[-1],
                  .n = a.shape[-2],
                  .k = K,
                  .batch = walk.rank == 0 ? 1 : walk.extent[last],
                  .transpose_a = left->transposed,
                  .transpose_b = right->transposed,
                  .a = left->matrix,
                  .b = right->matrix,
                  .d = result->matrix,
                  .c_leading = result->matrix.leading,
                  .in = a.dtype,
                  .out = y.view.dtype,
                  .adds = y.add};
  if (walk.rank > 0) {
    product.b.batch_step = walk.stride[0][last];
    product.a.batch_step = walk.stride[1][last];
    product.d.batch_step = walk.stride[2][last];
  }
  // What is more than one axis of batches goes one batch after the other.
  for (std::int64_t number = 0; number < walk.count; number += product.batch) {
    const auto places = walk.places(number);
    void* d = moved(y.view, places.at[2]).data;
    const ProductOperands operands{
        .a = moved(b, places.at[1]).data, .b = moved(a, places.at[0]).data, .c = d, .d = d};
    if (!run_product(product, operands)) {
      fail("cuda: cuBLASLt has no algorithm for the product ", product.key());
    }
  }
}

// The same through dense copies.
void CudaBackend::multiply_dense(const View& a, const View& b, const Target& y) {
  const auto bytes = [](const View& view) {
    return static_cast<std::size_t>(view.count()) * size_of(view.dtype);
  };
  const Space a_space(*this, bytes(a)), b_space(*this, bytes(b)), y_space(*this, bytes(y.view));
  const View left = dense_view(a_space.as<void>(), a.dtype, a.shape);
  const View right = dense_view(b_space.as<void>(), b.dtype, b.shape);
  const View result = dense_view(y_space.as<void>(), y.view.dtype, y.view.shape);
  copy(a, left);
  copy(b, right);
  if (y.add) copy(y.view, result);
  multiply(left, right, {result, y.add});
  copy(result, y.view);
}

void CudaBackend::matmul(const View& a, const View& b, const Target& y) {
  const Range range("matmul");
  multiply(a, b, y);
}

// The bias and, without an activation, the residual; the activation where the library has it.
bool CudaBackend::fused_linear(const LinearArguments& arguments) {
  const View& x = arguments.x;
  const View& y = arguments.y;
  const Activation activation = arguments.activation;
  // The library wants the bias in the dtype of the result.
  const bool narrow = arguments.bias && y.dtype == DType::bf16;
  if (narrow && with_.bias == "f32") return false;
  const bool plain = activation == Activation::none;
  const bool gelu = activation == Activation::gelu_tanh;
  const bool relu = activation == Activation::relu && !arguments.before;
  if (!plain && ((!gelu && !relu) || arguments.residual)) return false;
  const bool aux = gelu && arguments.before;
  // The library asks for this of what it writes before GELU.
  if (aux && (y.shape[1] % 8 != 0 || arguments.before.stride(0) != y.stride(0))) return false;
  const auto left = operand_of(transposed(arguments.weight, 0, 1));
  const auto right = operand_of(x);
  const auto result = operand_of(y);
  if (!left || !right || !result || result->transposed) return false;
  Product product{.m = y.shape[1],
                  .n = y.shape[0],
                  .k = x.shape[1],
                  .transpose_a = left->transposed,
                  .transpose_b = right->transposed,
                  .a = left->matrix,
                  .b = right->matrix,
                  .d = result->matrix,
                  .c_leading = arguments.residual ? arguments.residual.stride(0) : y.stride(0),
                  .in = x.dtype,
                  .out = y.dtype,
                  .adds = static_cast<bool>(arguments.residual),
                  .has_bias = static_cast<bool>(arguments.bias),
                  .has_aux = aux,
                  .epilogue = gelu   ? Epilogue::gelu_tanh
                              : relu ? Epilogue::relu
                                     : Epilogue::none};
  if (product.n == 1) product.d.leading = product.c_leading = product.m;
  const Space bias(*this, narrow ? static_cast<std::size_t>(product.m) * size_of(y.dtype) : 0);
  if (narrow) copy(arguments.bias, dense_view(bias.as<void>(), y.dtype, {product.m}));
  return run_product(product, {.a = arguments.weight.data,
                               .b = x.data,
                               .c = arguments.residual ? arguments.residual.data : y.data,
                               .d = y.data,
                               .bias = narrow ? bias.as<void>() : arguments.bias.data,
                               .aux = aux ? arguments.before.data : nullptr});
}

void CudaBackend::linear(const LinearArguments& arguments) {
  const Range range("linear");
  const bool fits = is_rows(arguments.x) && is_rows(arguments.weight) && is_rows(arguments.y) &&
                    is_rows(arguments.residual) && is_rows(arguments.before) &&
                    arguments.x.dtype == arguments.weight.dtype &&
                    (!arguments.bias || arguments.bias.is_dense()) &&
                    arguments.residual.data != arguments.y.data;
  if (!fits) return Backend::linear(arguments);
  if (arguments.y.count() == 0) return;
  const bool fuses = with_.fuse == "always" || (with_.fuse == "measured" && fusing_pays(arguments));
  if (fuses && arguments.x.shape[1] != 0 && fused_linear(arguments)) return;
  unfused_linear(arguments);
}

void CudaBackend::unfused_linear(const LinearArguments& arguments) {
  const View& pre = arguments.before ? arguments.before : arguments.y;
  multiply(arguments.x, transposed(arguments.weight, 0, 1), {pre, false});
  if (arguments.bias || arguments.residual || arguments.activation != Activation::none) {
    finish_linear(pre, arguments, stream_);
  }
}

// Both ways are run on the operands, which they leave as they are.
bool CudaBackend::fusing_pays(const LinearArguments& arguments) {
  if (!products_->measures()) return true;
  const Shape sizes{arguments.x.shape[0], arguments.x.shape[1], arguments.weight.shape[0]};
  const std::string layer =
      cat("linear ", sizes.text(), " ", name_of(arguments.x.dtype), " activation ",
          static_cast<int>(arguments.activation), arguments.bias ? " bias" : "",
          arguments.residual ? " residual" : "", arguments.before ? " before" : "");
  const auto fused = products_->cost(
      layer + " fused", [&] { return fused_linear(arguments); }, stream_);
  if (!fused) return false;
  const auto apart = products_->cost(
      layer + " apart",
      [&] {
        unfused_linear(arguments);
        return true;
      },
      stream_);
  return *fused <= *apart;
}

// dpre = dy act'(before); dx = dpre w; dw = dpre^T x; db = column sums of dpre.
void CudaBackend::linear_gradient(const LinearGradients& arguments) {
  const Range range("linear_gradient");
  const bool activated = arguments.activation != Activation::none;
  const bool fits = is_rows(arguments.x) && is_rows(arguments.weight) && is_rows(arguments.dy) &&
                    is_rows(arguments.before) && is_rows(arguments.dx.view) &&
                    is_rows(arguments.dweight.view) && arguments.x.dtype == arguments.weight.dtype;
  if (!fits) return Backend::linear_gradient(arguments);
  const Shape& shape = arguments.dy.shape;
  const std::size_t bytes =
      activated ? static_cast<std::size_t>(shape.count()) * size_of(arguments.dy.dtype) : 0;
  const Space space(*this, bytes);
  const View dpre =
      activated ? dense_view(space.as<void>(), arguments.dy.dtype, shape) : arguments.dy;
  if (activated || arguments.dbias) {
    const Space partial(*this, arguments.dbias ? column_sum_bytes(shape[0], shape[1]) : 0);
    activation_gradient(arguments, activated ? dpre : View{}, partial.as<float>(), stream_);
    if (arguments.dbias && shape[0] == 0 && !arguments.dbias.add) fill(arguments.dbias.view, 0);
  }
  if (arguments.dx) multiply(dpre, arguments.weight, arguments.dx);
  if (arguments.dweight) multiply(transposed(dpre, 0, 1), arguments.x, arguments.dweight);
}

}  // namespace lathe
