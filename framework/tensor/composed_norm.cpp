// norm in fine-grained ops.
#include <lathe/tensor/composed.h>

namespace lathe {
using namespace composed;

namespace {
Scratch row_mean(Backend& backend, const View& x) {
  return apply(backend, Binary::divide, reduced(backend, Reduce::sum, x, -1),
               static_cast<double>(x.shape[-1]));
}

View column(const View& x) { return reshaped(x, {x.shape[0], 1}); }
}  // namespace

void Backend::norm(const NormArguments& arguments) {
  Scratch sum = wide(*this, arguments.x);
  if (arguments.residual) {
    sum = apply(*this, Binary::add, sum, wide(*this, arguments.residual));
    copy(sum, arguments.sum);
  }
  if (arguments.kind == Norm::layer) {
    const Scratch mean = row_mean(*this, sum);
    if (arguments.mean) copy(reshaped(mean, arguments.mean.shape), arguments.mean);
    sum = apply(*this, Binary::subtract, sum, mean);
  }
  const Scratch variance = row_mean(*this, apply(*this, Unary::square, sum));
  const Scratch rstd =
      apply(*this, Unary::rsqrt, apply(*this, Binary::add, variance, arguments.epsilon));
  if (arguments.rstd) copy(reshaped(rstd, arguments.rstd.shape), arguments.rstd);
  Scratch y =
      apply(*this, Binary::multiply, apply(*this, Binary::multiply, sum, rstd), arguments.weight);
  if (arguments.bias) y = apply(*this, Binary::add, y, arguments.bias);
  copy(y, arguments.y);
}

void Backend::norm_gradient(const NormGradients& arguments) {
  const bool centred = arguments.kind == Norm::layer;
  const Scratch dy = wide(*this, arguments.dy);
  const Scratch rstd = wide(*this, arguments.rstd);
  Scratch unit = wide(*this, arguments.sum);
  if (centred) {
    const Scratch mean = wide(*this, arguments.mean);
    unit = apply(*this, Binary::subtract, unit, column(mean));
  }
  unit = apply(*this, Binary::multiply, unit, column(rstd));
  if (arguments.dx) {
    const Scratch g = apply(*this, Binary::multiply, dy, arguments.weight);
    const Scratch along = row_mean(*this, apply(*this, Binary::multiply, g, unit));
    Scratch dx = apply(*this, Binary::subtract, g, apply(*this, Binary::multiply, unit, along));
    if (centred) dx = apply(*this, Binary::subtract, dx, row_mean(*this, g));
    dx = apply(*this, Binary::multiply, dx, column(rstd));
    if (arguments.dsum) dx = apply(*this, Binary::add, dx, wide(*this, arguments.dsum));
    put(*this, dx, arguments.dx);
  }
  const auto put_rows = [&](const View& rows, const Target& target) {
    const Scratch sum = reduced(*this, Reduce::sum, rows, 0);
    put(*this, reshaped(sum, target.view.shape), target);
  };
  if (arguments.dweight) put_rows(apply(*this, Binary::multiply, dy, unit), arguments.dweight);
  if (arguments.dbias) put_rows(dy, arguments.dbias);
}

}  // namespace lathe
