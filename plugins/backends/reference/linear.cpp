#include "activation.h"
#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
// One matrix of a batch of them: the last two axes at an index of the others.
View matrix_at(const View& view, const Index& index) {
  const int row = view.shape.rank() - 2;
  View matrix{view.data, view.dtype, {view.shape[-2], view.shape[-1]}, {}};
  matrix.strides[0] = view.stride(-2);
  matrix.strides[1] = view.stride(-1);
  std::int64_t offset = 0;
  for (int axis = 0; axis < row; ++axis) {
    offset += index[static_cast<std::size_t>(axis)] * view.stride(axis);
  }
  offset *= static_cast<std::int64_t>(size_of(view.dtype));
  matrix.data = static_cast<std::byte*>(view.data) + offset;
  return matrix;
}
}  // namespace

// y [..., M, N] (+)= a [..., M, K] b [..., K, N]
void ReferenceBackend::matmul(const View& a, const View& b, const Target& y) {
  Shape batch;
  for (int axis = 0; axis < a.shape.rank() - 2; ++axis) batch.push_back(a.shape[axis]);
  const std::int64_t M = a.shape[-2];
  const std::int64_t K = a.shape[-1];
  const std::int64_t N = b.shape[-1];
  for_floating(a.dtype, [&]<class In>(std::type_identity<In>) {
    for_floating(y.view.dtype, [&]<class Out>(std::type_identity<Out>) {
      for_each(batch, [&](const Index& i) {
        const At<In> left(matrix_at(a, i)), right(matrix_at(b, i));
        const At<Out> out(matrix_at(y.view, i));
        for (std::int64_t m = 0; m < M; ++m) {
          for (std::int64_t n = 0; n < N; ++n) {
            double sum = 0;
            for (std::int64_t k = 0; k < K; ++k) sum += left(m, k) * right(k, n);
            put(out(m, n), sum, y.add);
          }
        }
      });
    });
  });
}

void ReferenceBackend::linear(const LinearArguments& arguments) {
  const std::int64_t N = arguments.x.shape[0];
  const std::int64_t I = arguments.x.shape[1];
  const std::int64_t O = arguments.weight.shape[0];
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x);                // [N, I]
    const At<T> weight(arguments.weight);      // [O, I]
    const At<Wide<T>> bias(arguments.bias);    // [O]
    const At<T> residual(arguments.residual);  // [N, O]
    const At<T> before(arguments.before), y(arguments.y);
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t o = 0; o < O; ++o) {
        double sum = bias ? bias(o) : 0.0;
        for (std::int64_t i = 0; i < I; ++i) sum += x(n, i) * weight(o, i);
        if (before) before(n, o) = sum;
        if (arguments.activation != Activation::none)
          sum = activate(arguments.activation, rounded_to<T>(sum));
        double result = sum;
        if (residual) result += residual(n, o);
        y(n, o) = result;
      }
    }
  });
}

void ReferenceBackend::linear_gradient(const LinearGradients& arguments) {
  const std::int64_t N = arguments.x.shape[0];
  const std::int64_t I = arguments.x.shape[1];
  const std::int64_t O = arguments.weight.shape[0];
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x);
    const At<T> weight(arguments.weight);
    const At<T> before(arguments.before);
    const At<T> dy(arguments.dy);
    const At<T> dx(arguments.dx.view);                  // [N, I]
    const At<Wide<T>> dweight(arguments.dweight.view);  // [O, I]
    const At<Wide<T>> dbias(arguments.dbias.view);      // [O]
    // The gradient of x w^T + bias.
    const auto inner = [&](std::int64_t n, std::int64_t o) -> double {
      if (arguments.activation == Activation::none) return dy(n, o);
      return dy(n, o) * slope(arguments.activation, before(n, o));
    };
    for (std::int64_t n = 0; dx && n < N; ++n) {
      for (std::int64_t i = 0; i < I; ++i) {
        double sum = 0;
        for (std::int64_t o = 0; o < O; ++o) sum += inner(n, o) * weight(o, i);
        put(dx(n, i), sum, arguments.dx.add);
      }
    }
    for (std::int64_t o = 0; dweight && o < O; ++o) {
      for (std::int64_t i = 0; i < I; ++i) {
        double sum = 0;
        for (std::int64_t n = 0; n < N; ++n) sum += inner(n, o) * x(n, i);
        put(dweight(o, i), sum, arguments.dweight.add);
      }
    }
    for (std::int64_t o = 0; dbias && o < O; ++o) {
      double sum = 0;
      for (std::int64_t n = 0; n < N; ++n) sum += inner(n, o);
      put(dbias(o), sum, arguments.dbias.add);
    }
  });
}

}  // namespace lathe
