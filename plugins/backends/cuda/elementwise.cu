// Fine-grained elementwise ops, on any strides; 16 bytes at a time where everything lies densely.
#include <device/launch.h>
#include <device/range.h>

#include <lathe/base/error.h>

#include <array>
#include <bit>
#include <type_traits>

#include "cuda.h"
#include "element.h"
#include "functions.h"
#include "row.h"
#include "types.h"
#include "walk.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int map_threads = 256;

// y[i] = f(x[0][i], ...) for operands of one dtype.
template <class T, int inputs, class F>
struct Map {
  static constexpr int threads = map_threads;
  static constexpr int pack = pack_of<T>;
  F f;
  Walk<inputs + 1> walk;  // the inputs, then y
  const T* x[inputs];
  T* y;
  bool packed;  // a thread takes a pack: see packs()

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    if (!packed) {
      if (number < walk.count) one(number);
      return;
    }
    const std::int64_t begin = number * pack;
    if (begin + pack <= walk.count) {
      many(begin);
    } else {
      for (std::int64_t i = begin; i < walk.count; ++i) one(i);
    }
  }

  LATHE_DEVICE void one(std::int64_t number) const {
    const auto places = walk.places(number);
    float values[inputs];
    for (int input = 0; input < inputs; ++input)
      values[input] = to_float(x[input][places.at[input]]);
    y[places.at[inputs]] = from_float<T>(f(values));
  }

  LATHE_DEVICE void many(std::int64_t begin) const {
    Pack<T, pack> operands[inputs];
    for (int input = 0; input < inputs; ++input) {
      if (walk.stride[input][0] == 1) {
        operands[input] = load<pack>(x[input] + begin);
      } else {
        for (int i = 0; i < pack; ++i) operands[input].at[i] = x[input][0];
      }
    }
    Pack<T, pack> result;
    for (int i = 0; i < pack; ++i) {
      float values[inputs];
      for (int input = 0; input < inputs; ++input) values[input] = to_float(operands[input].at[i]);
      result.at[i] = from_float<T>(f(values));
    }
    store(y + begin, result);
  }
};

struct UnaryOf {
  Unary op;
  LATHE_DEVICE float operator()(const float (&x)[1]) const { return apply(op, x[0]); }
};
struct BinaryOf {
  Binary op;
  LATHE_DEVICE float operator()(const float (&x)[2]) const { return apply(op, x[0], x[1]); }
};

template <class T, int inputs, class F>
void map(Stream stream, const F& f, const std::array<const View*, inputs>& x, const View& y) {
  Map<T, inputs, F> kernel{.f = f, .walk = {}, .x = {}, .y = y.as<T>(), .packed = false};
  std::array<const Strides*, inputs + 1> strides{};
  for (std::size_t i = 0; i < inputs; ++i) {
    kernel.x[i] = x[i]->template as<T>();
    strides[i] = &x[i]->strides;
  }
  strides[inputs] = &y.strides;
  kernel.walk = walk_of<inputs + 1>(y.shape, strides);
  bool aligned = is_aligned(y.data);
  for (std::size_t i = 0; i < inputs; ++i) {
    aligned = aligned && (is_aligned(x[i]->data) || !kernel.walk.dense(static_cast<int>(i)));
  }
  kernel.packed =
      kernel.walk.rank == 1 && kernel.walk.flat() && kernel.walk.dense(inputs) && aligned;
  const int each = kernel.packed ? pack_of<T> : 1;
  launch({blocks_for(kernel.walk.count, map_threads * each)}, 0, stream, kernel);
}

// to[i] = from[i], between dtypes.
template <class From, class To>
struct Copy {
  static constexpr int threads = map_threads;
  static constexpr int pack = 16 / static_cast<int>(std::max(sizeof(From), sizeof(To)));
  Walk<2> walk;
  const From* from;
  To* to;
  bool packed;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t begin = packed ? number * pack : number;
    if (packed && begin + pack <= walk.count) {
      const Pack<From, pack> source = load<pack>(from + begin);
      Pack<To, pack> target;
      for (int i = 0; i < pack; ++i) target.at[i] = converted<To>(source.at[i]);
      store(to + begin, target);
      return;
    }
    const std::int64_t end = packed ? walk.count : begin + 1;
    for (std::int64_t i = begin; i < end && i < walk.count; ++i) {
      const auto places = walk.places(i);
      to[places.at[1]] = converted<To>(from[places.at[0]]);
    }
  }
};

template <class From, class To>
void copy_as(Stream stream, const View& from, const View& to) {
  Copy<From, To> kernel{.walk = walk_of<2>(to.shape, {&from.strides, &to.strides}),
                        .from = static_cast<const From*>(from.data),
                        .to = static_cast<To*>(to.data),
                        .packed = false};
  kernel.packed = kernel.walk.rank == 1 && kernel.walk.flat() && kernel.walk.dense(0) &&
                  kernel.walk.dense(1) && is_aligned(from.data) && is_aligned(to.data);
  const int each = kernel.packed ? kernel.pack : 1;
  launch({blocks_for(kernel.walk.count, map_threads * each)}, 0, stream, kernel);
}

// The bits of one value, everywhere.
template <class T>
struct Fill {
  static constexpr int threads = map_threads;
  static constexpr int pack = pack_of<T>;
  Walk<1> walk;
  T value;
  T* to;
  bool packed;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t begin = packed ? number * pack : number;
    if (packed && begin + pack <= walk.count) {
      Pack<T, pack> values;
      for (int i = 0; i < pack; ++i) values.at[i] = value;
      store(to + begin, values);
      return;
    }
    const std::int64_t end = packed ? walk.count : begin + 1;
    for (std::int64_t i = begin; i < end && i < walk.count; ++i) to[walk.places(i).at[0]] = value;
  }
};

template <class T>
void fill_with(Stream stream, const View& to, T value) {
  Fill<T> kernel{.walk = walk_of<1>(to.shape, {&to.strides}),
                 .value = value,
                 .to = static_cast<T*>(to.data),
                 .packed = false};
  kernel.packed = kernel.walk.rank == 1 && kernel.walk.dense(0) && is_aligned(to.data);
  const int each = kernel.packed ? kernel.pack : 1;
  launch({blocks_for(kernel.walk.count, map_threads * each)}, 0, stream, kernel);
}

template <class T, class Condition>
struct Choose {
  static constexpr int threads = map_threads;
  static constexpr int pack = 16 / static_cast<int>(std::max(sizeof(T), sizeof(Condition)));
  Walk<4> walk;
  const Condition* condition;
  const T* a;
  const T* b;
  T* y;
  bool packed;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t begin = packed ? number * pack : number;
    if (packed && begin + pack <= walk.count) {
      const auto which = some<Condition>(condition, 0, begin);
      const auto left = some<T>(a, 1, begin);
      const auto right = some<T>(b, 2, begin);
      Pack<T, pack> chosen;
      for (int i = 0; i < pack; ++i) {
        chosen.at[i] = to_float(which.at[i]) != 0 ? left.at[i] : right.at[i];
      }
      store(y + begin, chosen);
      return;
    }
    const std::int64_t end = packed ? walk.count : begin + 1;
    for (std::int64_t i = begin; i < end && i < walk.count; ++i) {
      const auto places = walk.places(i);
      const bool first = to_float(condition[places.at[0]]) != 0;
      y[places.at[3]] = first ? a[places.at[1]] : b[places.at[2]];
    }
  }

  // Neighbours of an operand of a flat walk, which may repeat one element.
  template <class E>
  LATHE_DEVICE Pack<E, pack> some(const E* from, int view, std::int64_t begin) const {
    if (walk.stride[view][0] == 1) return load<pack>(from + begin);
    Pack<E, pack> same;
    for (int i = 0; i < pack; ++i) same.at[i] = from[0];
    return same;
  }
};

// A thread takes the four numbers of one Philox block.
template <class T>
struct Dropout {
  static constexpr int threads = map_threads;
  Walk<2> walk;
  const T* x;
  T* y;
  RandomStream random;
  float probability;
  float keep;  // 1 / (1 - probability)
  bool add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t begin = (std::int64_t{block.x()} * threads + block.thread()) * 4;
    if (begin >= walk.count) return;
    const PhiloxBlock words = random.block(static_cast<std::uint64_t>(begin) / 4);
    if (walk.rank == 1) {
      float values[4];
      Row<const T, 4>(x, walk.stride[0][0], walk.count).read(begin, values);
      for (int i = 0; i < 4; ++i) values[i] = thinned(words, i, values[i]);
      Row<T, 4>(y, walk.stride[1][0], walk.count).write(begin, values, add);
      return;
    }
    for (int i = 0; i < 4 && begin + i < walk.count; ++i) {
      const auto places = walk.places(begin + i);
      put(y[places.at[1]], thinned(words, i, to_float(x[places.at[0]])), add);
    }
  }

  LATHE_DEVICE float thinned(const PhiloxBlock& words, int i, float value) const {
    const float uniform = static_cast<float>(words[static_cast<unsigned>(i)] >> 8) * 0x1p-24f;
    return uniform < probability ? 0.0f : value * keep;
  }
};
}  // namespace

void CudaBackend::copy(const View& from, const View& to) {
  const Range range("copy");
  if (from.dtype == to.dtype && from.is_dense() && to.is_dense()) {
    const std::size_t bytes = static_cast<std::size_t>(to.count()) * size_of(to.dtype);
    return copy_on_device(to.data, from.data, bytes, stream_);
  }
  if (from.dtype == to.dtype && size_of(to.dtype) == 4) {
    return copy_as<std::int32_t, std::int32_t>(stream_, from, to);
  }
  with_any(from.dtype, [&]<class From>(std::type_identity<From>) {
    with_any(to.dtype, [&]<class To>(std::type_identity<To>) {
      // Four bytes of one dtype were copied above.
      if constexpr (!std::is_same_v<From, To> || sizeof(From) == 2) {
        copy_as<From, To>(stream_, from, to);
      }
    });
  });
}

void CudaBackend::fill(const View& to, double value) {
  const Range range("fill");
  switch (to.dtype) {
    case DType::f32:
      return fill_with(stream_, to, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    case DType::i32:
      return fill_with(stream_, to, std::bit_cast<std::uint32_t>(static_cast<std::int32_t>(value)));
    case DType::bf16:
      return fill_with(stream_, to, bf16(static_cast<float>(value)).bits);
    case DType::f64:
      fail("the cuda backend has no f64");
  }
}

void CudaBackend::unary(Unary op, const View& x, const View& y) {
  const Range range("unary");
  with_floating(y.dtype,
                [&]<class T>(std::type_identity<T>) { map<T, 1>(stream_, UnaryOf{op}, {&x}, y); });
}

void CudaBackend::binary(Binary op, const View& a, const View& b, const View& y) {
  const Range range("binary");
  with_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    map<T, 2>(stream_, BinaryOf{op}, {&a, &b}, y);
  });
}

void CudaBackend::where(const View& condition, const View& a, const View& b, const View& y) {
  const Range range("where");
  with_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    with_any(condition.dtype, [&]<class C>(std::type_identity<C>) {
      Choose<T, C> kernel{
          .walk = walk_of<4>(y.shape, {&condition.strides, &a.strides, &b.strides, &y.strides}),
          .condition = condition.as<C>(),
          .a = a.as<T>(),
          .b = b.as<T>(),
          .y = y.as<T>(),
          .packed = false};
      const auto fits = [&](const View& view, int number) {
        return !kernel.walk.dense(number) || is_aligned(view.data);
      };
      kernel.packed = kernel.walk.rank == 1 && kernel.walk.flat() && kernel.walk.dense(3) &&
                      fits(condition, 0) && fits(a, 1) && fits(b, 2) && fits(y, 3);
      const int each = kernel.packed ? kernel.pack : 1;
      launch({blocks_for(kernel.walk.count, map_threads * each)}, 0, stream_, kernel);
    });
  });
}

void CudaBackend::dropout(const View& x, float probability, const RandomStream& random,
                          const Target& y) {
  const Range range("dropout");
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const Dropout<T> kernel{.walk = walk_of<2>(x.shape, {&x.strides, &y.view.strides}),
                            .x = x.as<T>(),
                            .y = y.view.as<T>(),
                            .random = random,
                            .probability = probability,
                            .keep = 1.0f / (1.0f - probability),
                            .add = y.add};
    launch({blocks_for(kernel.walk.count, map_threads * 4)}, 0, stream_, kernel);
  });
}

}  // namespace lathe
