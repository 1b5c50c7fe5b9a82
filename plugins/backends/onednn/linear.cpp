// Matrix products and linear layers.
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "onednn.h"
#include "strided.h"

namespace lathe {
namespace {
static_assert(static_cast<int>(kernels::Activation::silu) == static_cast<int>(Activation::silu));

kernels::Activation kernel_of(Activation activation) {
  return static_cast<kernels::Activation>(activation);
}

// One of the last two strides is 1, and it is of a type that the kernel takes.
bool is_matrix(const View& view) {
  if (view.dtype != DType::f32 && view.dtype != DType::bf16) return false;
  return view.stride(-1) == 1 || view.stride(-2) == 1 || view.shape[-1] == 1 || view.shape[-2] == 1;
}

bool is_rows(const View& view) {
  return !view || (view.shape.rank() == 2 && (view.stride(1) == 1 || view.shape[1] == 1));
}

// Strides of a matrix for the kernel, which wants one of them to be 1.
struct Layout {
  std::int64_t row;
  std::int64_t column;
};
Layout layout_of(const View& view) {
  Layout layout{view.stride(-2), view.stride(-1)};
  if (layout.row == 1 || layout.column == 1) return layout;
  if (view.shape[-1] == 1)
    layout.column = 1;
  else
    layout.row = 1;
  return layout;
}
}  // namespace

void OnednnBackend::product(const kernels::Gemm& gemm) {
  if (!own_products_ && onednn_.run(gemm)) return;
  kernels::gemm(gemm);
}

void OnednnBackend::matmul(const View& a, const View& b, const Target& y) {
  multiply(a, b, y, false);
}

void OnednnBackend::multiply(const View& a, const View& b, const Target& y, bool cold) {
  const int rank = a.shape.rank();
  const bool fits = is_matrix(a) && is_matrix(b) && a.dtype == b.dtype &&
                    (y.view.stride(-1) == 1 || y.view.shape[-1] == 1);
  if (!fits) {
    Workspace a_space;
    Workspace b_space;
    Workspace y_space;
    const auto dense = [&](const View& view, Workspace& space) {
      const std::size_t bytes = static_cast<std::size_t>(view.count()) * size_of(view.dtype);
      return dense_view(space.get(bytes), view.dtype, view.shape);
    };
    const View left = dense(a, a_space);
    const View right = dense(b, b_space);
    const View result = dense(y.view, y_space);
    copy(a, left);
    copy(b, right);
    if (y.add) copy(y.view, result);
    multiply(left, right, Target{result, y.add}, false);
    copy(result, y.view);
    return;
  }
  const Layout left = layout_of(a);
  const Layout right = layout_of(b);
  kernels::Gemm gemm{.m = a.shape[-2],
                     .n = b.shape[-1],
                     .k = a.shape[-1],
                     .a = a.data,
                     .a_row = left.row,
                     .a_column = left.column,
                     .b = b.data,
                     .b_row = right.row,
                     .b_column = right.column,
                     .c = y.view.data,
                     .c_row = y.view.stride(-2),
                     .ab_type = a.dtype,
                     .c_type = y.view.dtype,
                     .add = y.add,
                     .c_is_cold = cold};
  std::int64_t batches = 1;
  for (int axis = 0; axis < rank - 2; ++axis) batches *= a.shape[axis];
  const auto moved = [&](const View& view, std::int64_t batch) {
    std::int64_t offset = 0;
    for (int axis = rank - 3; axis >= 0; --axis) {
      offset += batch % view.shape[axis] * view.stride(axis);
      batch /= view.shape[axis];
    }
    return static_cast<std::byte*>(view.data) +
           offset * static_cast<std::int64_t>(size_of(view.dtype));
  };
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    gemm.a = moved(a, batch);
    gemm.b = moved(b, batch);
    gemm.c = moved(y.view, batch);
    product(gemm);
  }
}

void OnednnBackend::linear(const LinearArguments& arguments) {
  const View& x = arguments.x;
  const View& weight = arguments.weight;
  const bool fits = is_rows(x) && is_rows(weight) && is_rows(arguments.y) &&
                    is_rows(arguments.residual) && x.dtype == weight.dtype &&
                    x.dtype != DType::f64 &&
                    (!arguments.before || arguments.before.stride(0) == arguments.y.stride(0)) &&
                    (!arguments.bias || arguments.bias.is_dense());
  if (!fits) return Backend::linear(arguments);
  product({.m = x.shape[0],
           .n = weight.shape[0],
           .k = x.shape[1],
           .a = x.data,
           .a_row = x.stride(0),
           .a_column = 1,
           .b = weight.data,
           .b_row = 1,
           .b_column = weight.stride(0),
           .c = arguments.y.data,
           .c_row = arguments.y.stride(0),
           .ab_type = x.dtype,
           .c_type = x.dtype,
           .bias = arguments.bias ? arguments.bias.as<float>() : nullptr,
           .activation = kernel_of(arguments.activation),
           .before = arguments.before.data,
           .residual = arguments.residual.data,
           .residual_row = arguments.residual ? arguments.residual.stride(0) : 0,
           .b_panels = panels_of(weight, x.shape[0])});
}

// dpre = dy act'(before); dx = dpre w; dw = dpre^T x; db = column sums of dpre.
void OnednnBackend::linear_gradient(const LinearGradients& arguments) {
  const View& x = arguments.x;
  const View& weight = arguments.weight;
  const bool activated = arguments.activation != Activation::none;
  const bool fits = is_rows(x) && is_rows(weight) && is_rows(arguments.dy) &&
                    is_rows(arguments.dx.view) && is_rows(arguments.dweight.view) &&
                    x.dtype == weight.dtype && x.dtype != DType::f64 &&
                    (!arguments.dbias || arguments.dbias.view.is_dense()) &&
                    (!activated || (arguments.before.is_dense() && arguments.dy.is_dense()));
  if (!fits) return Backend::linear_gradient(arguments);
  const std::int64_t rows = x.shape[0];
  const std::int64_t out = weight.shape[0];
  if (arguments.dbias && !arguments.dbias.add) fill(arguments.dbias.view, 0);
  float* bias = arguments.dbias ? arguments.dbias.view.as<float>() : nullptr;
  View dy = arguments.dy;
  if (activated) {
    const std::size_t bytes = static_cast<std::size_t>(rows * out) * size_of(x.dtype);
    dy = dense_view(before_.get(bytes), x.dtype, dy.shape);
    kernels::activation_backward({.dtype = x.dtype,
                                  .kind = kernel_of(arguments.activation),
                                  .rows = static_cast<std::size_t>(rows),
                                  .width = static_cast<std::size_t>(out),
                                  .pre = arguments.before.data,
                                  .dy = arguments.dy.data,
                                  .dpre = dy.data,
                                  .dbias = bias});
  } else if (bias != nullptr) {
    kernels::column_sum({.dtype = dy.dtype,
                         .rows = static_cast<std::size_t>(rows),
                         .width = static_cast<std::size_t>(out),
                         .stride = static_cast<std::size_t>(dy.stride(0)),
                         .x = dy.data,
                         .out = bias});
  }
  if (arguments.dx) matmul(dy, weight, arguments.dx);
  if (arguments.dweight) multiply(transposed(dy, 0, 1), x, arguments.dweight, true);
}

}  // namespace lathe
