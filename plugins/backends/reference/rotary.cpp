#include <cmath>

#include "activation.h"
#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

void ReferenceBackend::rotary(const RotaryArguments& arguments) {
  const Shape& shape = arguments.x.shape;  // [N, H, D]
  const std::int64_t half = shape[2] / 2;
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x), y(arguments.y.view);
    const At<std::int32_t> positions(arguments.positions);
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double turn = -2.0 * static_cast<double>(i) / static_cast<double>(shape[2]);
        const double angle = positions(n) * std::pow(arguments.base, turn);
        const double cosine = std::cos(angle);
        const double sine = arguments.inverse ? -std::sin(angle) : std::sin(angle);
        for (std::int64_t h = 0; h < shape[1]; ++h) {
          const double a = x(n, h, i);
          const double b = x(n, h, half + i);
          put(y(n, h, i), a * cosine - b * sine, arguments.y.add);
          put(y(n, h, half + i), b * cosine + a * sine, arguments.y.add);
        }
      }
    }
  });
}

void ReferenceBackend::swiglu(const View& x, const View& y) {
  const std::int64_t F = y.shape[1];
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), out(y);  // [N, 2F], [N, F]
    for (std::int64_t n = 0; n < y.shape[0]; ++n) {
      for (std::int64_t f = 0; f < F; ++f) {
        out(n, f) = activate(Activation::silu, in(n, f)) * in(n, F + f);
      }
    }
  });
}

void ReferenceBackend::swiglu_gradient(const View& x, const View& dy, const Target& dx) {
  const std::int64_t F = dy.shape[1];
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), up(dy), down(dx.view);
    for (std::int64_t n = 0; n < dy.shape[0]; ++n) {
      for (std::int64_t f = 0; f < F; ++f) {
        const double gate = in(n, f);
        const double value = in(n, F + f);
        put(down(n, f), up(n, f) * value * slope(Activation::silu, gate), dx.add);
        put(down(n, F + f), up(n, f) * activate(Activation::silu, gate), dx.add);
      }
    }
  });
}

}  // namespace lathe
