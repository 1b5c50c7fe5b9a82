#include <algorithm>
#include <cmath>
#include <limits>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

// The sum of nothing is 0, the maximum of nothing -infinity.
void ReferenceBackend::reduce(Reduce op, const View& x, const View& y) {
  // The axes of one sum: those with extent 1 in y.
  Shape inner;
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    inner.push_back(y.shape[axis] == 1 ? x.shape[axis] : 1);
  }
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), out(y);
    for_each(y.shape, [&](const Index& at) {
      double result = op == Reduce::sum ? 0 : -std::numeric_limits<double>::infinity();
      for_each(inner, [&](const Index& step) {
        Index i;
        std::transform(at.begin(), at.end(), step.begin(), i.begin(), std::plus<>());
        const double value = in[i];
        if (op == Reduce::sum) {
          result += value;
        } else if (value > result || std::isnan(value)) {
          result = value;
        }
      });
      out[at] = result;
    });
  });
}

namespace {
// Runs body(row) for the first element of each row along the last axis.
template <class Body>
void for_each_row(const Shape& shape, Body body) {
  if (shape.rank() == 0) fail("softmax needs at least one axis");
  Shape rows = shape;
  rows[-1] = std::min<std::int64_t>(shape[-1], 1);
  for_each(rows, body);
}
}  // namespace

// y = exp(x - max) / sum of exp(x - max); a row of -infinity alone gives zeros.
void ReferenceBackend::softmax(const View& x, const View& y) {
  const auto last = static_cast<std::size_t>(x.shape.rank() - 1);
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), out(y);
    for_each_row(x.shape, [&](Index i) {
      double most = -std::numeric_limits<double>::infinity();
      for (i[last] = 0; i[last] < x.shape[-1]; ++i[last]) {
        most = std::max<double>(most, in[i]);
      }
      if (std::isinf(most) && most < 0) most = 0;
      double sum = 0;
      for (i[last] = 0; i[last] < x.shape[-1]; ++i[last]) sum += std::exp(in[i] - most);
      for (i[last] = 0; i[last] < x.shape[-1]; ++i[last]) {
        out[i] = sum == 0 ? 0.0 : std::exp(in[i] - most) / sum;
      }
    });
  });
}

// dx = y (dy - sum(y dy))
void ReferenceBackend::softmax_gradient(const View& y, const View& dy, const Target& dx) {
  const auto last = static_cast<std::size_t>(y.shape.rank() - 1);
  for_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> value(y), up(dy), down(dx.view);
    for_each_row(y.shape, [&](Index i) {
      double sum = 0;
      for (i[last] = 0; i[last] < y.shape[-1]; ++i[last]) sum += value[i] * up[i];
      for (i[last] = 0; i[last] < y.shape[-1]; ++i[last]) {
        put(down[i], value[i] * (up[i] - sum), dx.add);
      }
    });
  });
}

}  // namespace lathe
