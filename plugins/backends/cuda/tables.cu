// Rows taken from tables and added to tables: gather, scatter_add, the embeddings.
//
// Adding sorts the indices on the device, so that the rows of one table row stand together, and
// sums them in that order: no atomics, the same bits on every run, nothing for the host to read.
#include <device/launch.h>
#include <device/range.h>

#include <lathe/base/error.h>

#include <bit>
#include <type_traits>

#include "checked_row.h"
#include "cuda.h"
#include "element.h"
#include "findings.h"
#include "sort.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int table_threads = 256;

// A matrix with any strides.
template <class T>
struct Matrix {
  T* data;
  std::int64_t row, column;

  LATHE_DEVICE T* at(std::int64_t n, std::int64_t c) const { return data + n * row + c * column; }
};
template <class T>
Matrix<T> matrix_of(const View& view) {
  if (!view) return {nullptr, 0, 0};
  return {view.as<std::remove_const_t<T>>(), view.stride(0), view.stride(1)};
}
template <class T>
bool takes_packs(const View& view) {
  return !view || (view.stride(1) == 1 && view.shape[1] % pack_of<T> == 0 &&
                   view.stride(0) % pack_of<T> == 0 && is_aligned(view.data));
}

struct Indices {
  const std::int32_t* data;
  std::int64_t step;
  std::int64_t rows;  // of the table
  Place place;
  Finding* finding;

  LATHE_DEVICE std::int64_t row(const Block& block, std::int64_t n) const {
    return checked_row(block, finding, place, data[n * step], n, rows);
  }
};

// y[n] = table[index[n]] + second[second_index[n]]; one table alone is gather.
template <class T, int pack>
struct TakeRows {
  static constexpr int threads = table_threads;
  Matrix<const T> table;
  Indices index;
  Matrix<const T> second;  // or no data
  Indices second_index;
  Matrix<T> y;
  std::int64_t count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t packs = width / pack;
    if (number >= count * packs) return;
    const std::int64_t n = number / packs;
    const std::int64_t c = number % packs * pack;
    const std::int64_t row = index.row(block, n);
    const std::int64_t other = second.data != nullptr && row >= 0 ? second_index.row(block, n) : -1;
    Pack<T, pack> result;
    for (int i = 0; i < pack; ++i) result.at[i] = from_float<T>(0.0f);
    if (row >= 0) result = load<pack>(table.at(row, c));
    if (other >= 0) {
      const auto more = load<pack>(second.at(other, c));
      for (int i = 0; i < pack; ++i) {
        result.at[i] = from_float<T>(to_float(result.at[i]) + to_float(more.at[i]));
      }
    }
    store(y.at(n, c), result);
  }
};

// What is sorted: the table row of each n as key, with `rows` for none, and n.
struct MakeKeys {
  static constexpr int threads = table_threads;
  Indices index;
  const std::int32_t* token;  // where this is below 0 there is no row, or null
  std::int64_t token_step;
  std::int32_t* keys;
  std::int32_t* numbers;
  std::int64_t count;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t n = std::int64_t{block.x()} * threads + block.thread();
    if (n >= count) return;
    const bool none = token != nullptr && token[n * token_step] < 0;
    const std::int64_t row = none ? -1 : index.row(block, n);
    keys[n] = static_cast<std::int32_t>(row < 0 ? index.rows : row);
    numbers[n] = static_cast<std::int32_t>(n);
  }
};

constexpr int run_length = 64;  // sorted positions that a block sums

// The sums of all table rows that begin and end inside of a run; of a row that crosses the border
// of a run, the part before it and the part after it wait in `first` and `last` [runs, width].
template <class From, class To>
struct SumRuns {
  static constexpr int threads = table_threads;
  Matrix<const From> rows;
  Matrix<To> table;
  const std::int32_t* keys;
  const std::int32_t* numbers;
  float* first;  // of a row that began before this run
  float* last;   // of a row that begins here and goes on
  std::int64_t count, width, table_rows;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t c = std::int64_t{block.y()} * threads + block.thread();
    if (c >= width) return;
    const std::int64_t begin = std::int64_t{block.x()} * run_length;
    const std::int64_t end = begin + run_length < count ? begin + run_length : count;
    for (std::int64_t i = begin; i < end;) {
      const std::int32_t key = keys[i];
      if (key >= table_rows) return;
      const bool began_before = i == begin && i > 0 && keys[i - 1] == key;
      float sum = 0;
      for (; i < end && keys[i] == key; ++i) sum += to_float(*rows.at(numbers[i], c));
      const bool goes_on = i == end && i < count && keys[i] == key;
      if (began_before) {
        first[block.x() * width + c] = sum;
      } else if (goes_on) {
        last[block.x() * width + c] = sum;
      } else {
        put(*table.at(key, c), sum, true);
      }
    }
  }
};

// Rows that cross borders: the run in which such a row begins adds up its parts, in order.
template <class To>
struct JoinRuns {
  static constexpr int threads = table_threads;
  Matrix<To> table;
  const std::int32_t* keys;
  const float* first;
  const float* last;
  std::int64_t count, width, table_rows;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t c = std::int64_t{block.y()} * threads + block.thread();
    std::int64_t end = (std::int64_t{block.x()} + 1) * run_length;
    if (c >= width || end >= count) return;
    const std::int32_t key = keys[end - 1];
    if (key >= table_rows || keys[end] != key) return;
    const std::int64_t begin = end - run_length;
    const bool whole = keys[begin] == key;
    if (whole && begin > 0 && keys[begin - 1] == key) return;  // it began before this run
    float sum = last[block.x() * width + c];
    for (std::int64_t run = block.x() + 1; end < count && keys[end] == key; ++run) {
      sum += first[run * width + c];
      // Where the row ends inside of this run, keys[end] is another's.
      end += run_length;
      if (end > count) end = count;
      if (keys[end - 1] != key) break;
    }
    put(*table.at(key, c), sum, true);
  }
};
}  // namespace

void CudaBackend::take_rows(const View& table, const View& index, cuda::Place place,
                            const View& second, const View& second_index, const View& y) {
  const auto indices = [&](const View& view, const View& of, Place where) {
    return Indices{view ? view.as<std::int32_t>() : nullptr, view ? view.stride(0) : 0,
                   of ? of.shape[0] : 0, where, finding_};
  };
  with_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      const TakeRows<T, pack> kernel{.table = matrix_of<const T>(table),
                                     .index = indices(index, table, place),
                                     .second = matrix_of<const T>(second),
                                     .second_index = indices(second_index, second, Place::position),
                                     .y = matrix_of<T>(y),
                                     .count = y.shape[0],
                                     .width = y.shape[1]};
      launch({blocks_for(y.count() / pack, table_threads)}, 0, stream_, kernel);
    };
    if (takes_packs<T>(table) && takes_packs<T>(second) && takes_packs<T>(y)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
}

void CudaBackend::add_rows(const View& rows, const View& index, cuda::Place place,
                           const View& token, const View& table) {
  const std::int64_t count = index.shape[0];
  const std::int64_t width = table.shape[1];
  if (count == 0 || width == 0) return;
  if (count >= INT32_MAX) fail("cuda: ", count, " rows are too many for one scatter_add");
  const auto size = static_cast<std::size_t>(count);
  const Space sorting(*this, 4 * size * sizeof(std::int32_t));
  auto* keys = sorting.as<std::int32_t>();
  std::int32_t* numbers = keys + count;
  std::int32_t* sorted_keys = numbers + count;
  std::int32_t* sorted_numbers = sorted_keys + count;
  const Indices indices{index.as<std::int32_t>(), index.stride(0), table.shape[0], place, finding_};
  launch({blocks_for(count, table_threads)}, 0, stream_,
         MakeKeys{.index = indices,
                  .token = token ? token.as<std::int32_t>() : nullptr,
                  .token_step = token ? token.stride(0) : 0,
                  .keys = keys,
                  .numbers = numbers,
                  .count = count});
  const std::size_t bytes = sort_bytes(count);
  const Space space(*this, bytes);
  const auto bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(table.shape[0])));
  sort_pairs(space.as<void>(), bytes, keys, sorted_keys, numbers, sorted_numbers, count, bits,
             stream_);

  const std::int64_t runs = blocks_for(count, run_length);
  const Space parts(*this, 2 * static_cast<std::size_t>(runs * width) * sizeof(float));
  auto* first = parts.as<float>();
  float* last = first + runs * width;
  const Grid grid{runs, blocks_for(width, table_threads)};
  with_floating(rows.dtype, [&]<class From>(std::type_identity<From>) {
    with_floating(table.dtype, [&]<class To>(std::type_identity<To>) {
      launch(grid, 0, stream_,
             SumRuns<From, To>{.rows = matrix_of<const From>(rows),
                               .table = matrix_of<To>(table),
                               .keys = sorted_keys,
                               .numbers = sorted_numbers,
                               .first = first,
                               .last = last,
                               .count = count,
                               .width = width,
                               .table_rows = table.shape[0]});
      launch(grid, 0, stream_,
             JoinRuns<To>{.table = matrix_of<To>(table),
                          .keys = sorted_keys,
                          .first = first,
                          .last = last,
                          .count = count,
                          .width = width,
                          .table_rows = table.shape[0]});
    });
  });
}

void CudaBackend::gather(const View& table, const View& index, const View& y) {
  const Range range("gather");
  take_rows(table, index, Place::gather, View{}, View{}, y);
}

void CudaBackend::scatter_add(const View& rows, const View& index, const View& table) {
  const Range range("scatter_add");
  add_rows(rows, index, Place::scatter_add, View{}, table);
}

void CudaBackend::embedding(const EmbeddingArguments& arguments) {
  const Range range("embedding");
  take_rows(arguments.token_table, arguments.tokens, Place::token, arguments.position_table,
            arguments.positions, arguments.y);
}

void CudaBackend::embedding_gradient(const EmbeddingGradients& arguments) {
  const Range range("embedding_gradient");
  if (arguments.token_table) {
    if (!arguments.token_table.add) fill(arguments.token_table.view, 0);
    add_rows(arguments.dy, arguments.tokens, Place::token, View{}, arguments.token_table.view);
  }
  // A token below 0 gave zeros, so its position learns nothing either.
  if (arguments.position_table) {
    if (!arguments.position_table.add) fill(arguments.position_table.view, 0);
    add_rows(arguments.dy, arguments.positions, Place::position, arguments.tokens,
             arguments.position_table.view);
  }
}

}  // namespace lathe
