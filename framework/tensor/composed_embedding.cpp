// Embedding and rotary positions in fine-grained ops.
#include <lathe/tensor/composed.h>

#include <cmath>
#include <vector>

namespace lathe {
using namespace composed;

namespace {
// The positions as i32, with -1 where the token is below 0 (which gives zeros).
Scratch places(Backend& backend, const View& tokens, const View& positions) {
  const Scratch none = apply(backend, Binary::less, cast(backend, tokens, DType::f32), 0.0);
  const Scratch place = choose(backend, none, -1, cast(backend, positions, DType::f32));
  return cast(backend, place, DType::i32);
}
}  // namespace

void Backend::embedding(const EmbeddingArguments& arguments) {
  if (!arguments.position_table) {
    return gather(arguments.token_table, arguments.tokens, arguments.y);
  }
  Scratch word(*this, arguments.y.dtype, arguments.y.shape);
  Scratch place(*this, arguments.y.dtype, arguments.y.shape);
  gather(arguments.token_table, arguments.tokens, word);
  gather(arguments.position_table, places(*this, arguments.tokens, arguments.positions), place);
  copy(apply(*this, Binary::add, wide(*this, word), wide(*this, place)), arguments.y);
}

void Backend::embedding_gradient(const EmbeddingGradients& arguments) {
  const Scratch dy = wide(*this, arguments.dy);
  const auto scatter = [&](const View& index, const Target& table) {
    if (!table.add) fill(table.view, 0);
    scatter_add(dy, index, table.view);
  };
  if (arguments.token_table) scatter(arguments.tokens, arguments.token_table);
  if (arguments.position_table) {
    scatter(places(*this, arguments.tokens, arguments.positions), arguments.position_table);
  }
}

void Backend::rotary(const RotaryArguments& arguments) {
  const Shape& shape = arguments.x.shape;  // [N, H, D]
  const std::int64_t half = shape[2] / 2;
  const DType type = wide_of(arguments.x.dtype);
  const Scratch dense = cast(*this, arguments.positions, DType::i32);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(shape[0]));
  download(positions.data(), dense.view().data, positions.size() * sizeof positions[0]);
  // No op gives sines: the table is made here and sent over.
  std::vector<double> sines, cosines;
  for (const std::int32_t position : positions) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double turn = -2.0 * static_cast<double>(i) / static_cast<double>(shape[2]);
      const double angle = position * std::pow(arguments.base, turn);
      sines.push_back(arguments.inverse ? -std::sin(angle) : std::sin(angle));
      cosines.push_back(std::cos(angle));
    }
  }
  const auto table = [&](const std::vector<double>& values) {
    Scratch sent(*this, type, {shape[0], 1, half});
    if (type == DType::f64) {
      upload(sent.view().data, values.data(), values.size() * sizeof values[0]);
    } else {
      const std::vector<float> narrow(values.begin(), values.end());
      upload(sent.view().data, narrow.data(), narrow.size() * sizeof narrow[0]);
    }
    return sent;
  };
  const Scratch sine = table(sines);
  const Scratch cosine = table(cosines);
  const Scratch a = wide(*this, sliced(arguments.x, 2, 0, half));
  const Scratch b = wide(*this, sliced(arguments.x, 2, half, 2 * half));
  const auto times = [&](const View& x, const View& y) {
    return apply(*this, Binary::multiply, x, y);
  };
  put(*this, apply(*this, Binary::subtract, times(a, cosine), times(b, sine)),
      {sliced(arguments.y.view, 2, 0, half), arguments.y.add});
  put(*this, apply(*this, Binary::add, times(b, cosine), times(a, sine)),
      {sliced(arguments.y.view, 2, half, 2 * half), arguments.y.add});
}

}  // namespace lathe
