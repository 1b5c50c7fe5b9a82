#include <algorithm>
#include <numeric>
#include <vector>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
// Calls body(row, first, last) for each row number that occurs, with the positions n at which it
// occurs in rising order; below 0 is left out.
template <class Body>
void for_each_group(const View& index, std::int64_t rows, const char* what, Body body) {
  const At<std::int32_t> at(index);
  std::vector<std::int64_t> order;
  for (std::int64_t n = 0; n < index.shape[0]; ++n) {
    if (row_at(at, n, rows, what) >= 0) order.push_back(n);
  }
  const auto row_of = [&](std::int64_t n) { return row_at(at, n, rows, what); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return row_of(a) < row_of(b); });
  for (auto first = order.begin(); first != order.end();) {
    const std::int64_t row = row_of(*first);
    const auto last = std::find_if(first, order.end(), [&](auto n) { return row_of(n) != row; });
    body(row, first, last);
    first = last;
  }
}

// table[index[n], :] += rows[n, :], each element summed in double and rounded once.
template <class From, class To>
void add_rows(const View& rows, const View& index, const View& table, const char* what) {
  const At<From> in(rows);
  const At<To> out(table);
  for_each_group(index, table.shape[0], what, [&](std::int64_t row, auto first, auto last) {
    for (std::int64_t c = 0; c < table.shape[1]; ++c) {
      double sum = out(row, c);
      for (auto n = first; n != last; ++n) sum += in(*n, c);
      out(row, c) = sum;
    }
  });
}
}  // namespace

void ReferenceBackend::gather(const View& table, const View& index, const View& y) {
  for_floating(table.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> from(table), to(y);
    const At<std::int32_t> at(index);
    for (std::int64_t n = 0; n < y.shape[0]; ++n) {
      const std::int64_t row = row_at(at, n, table.shape[0], "gather");
      for (std::int64_t c = 0; c < y.shape[1]; ++c) to(n, c) = row < 0 ? 0.0 : from(row, c);
    }
  });
}

void ReferenceBackend::scatter_add(const View& rows, const View& index, const View& table) {
  for_floating(rows.dtype, [&]<class From>(std::type_identity<From>) {
    for_floating(table.dtype, [&]<class To>(std::type_identity<To>) {
      add_rows<From, To>(rows, index, table, "scatter_add");
    });
  });
}

void ReferenceBackend::embedding(const EmbeddingArguments& arguments) {
  for_floating(arguments.token_table.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> token_table(arguments.token_table);        // [V, C]
    const At<T> position_table(arguments.position_table);  // [P, C]
    const At<std::int32_t> tokens(arguments.tokens), positions(arguments.positions);
    const At<T> y(arguments.y);  // [N, C]
    for (std::int64_t n = 0; n < arguments.y.shape[0]; ++n) {
      const std::int64_t token =
          row_at(tokens, n, arguments.token_table.shape[0], "embedding, tokens");
      const std::int64_t place =
          position_table && token >= 0
              ? row_at(positions, n, arguments.position_table.shape[0], "embedding, positions")
              : -1;
      for (std::int64_t c = 0; c < arguments.y.shape[1]; ++c) {
        const double word = token < 0 ? 0.0 : token_table(token, c);
        y(n, c) = word + (place < 0 ? 0.0 : position_table(place, c));
      }
    }
  });
}

void ReferenceBackend::embedding_gradient(const EmbeddingGradients& arguments) {
  for_floating(arguments.dy.dtype, [&]<class T>(std::type_identity<T>) {
    if (arguments.token_table) {
      if (!arguments.token_table.add) fill(arguments.token_table.view, 0);
      add_rows<T, Wide<T>>(arguments.dy, arguments.tokens, arguments.token_table.view,
                           "embedding_gradient, tokens");
    }
    if (!arguments.position_table) return;
    if (!arguments.position_table.add) fill(arguments.position_table.view, 0);
    // A token below 0 gave zeros, so its position learns nothing either.
    const At<std::int32_t> tokens(arguments.tokens), positions(arguments.positions);
    std::vector<std::int32_t> places;
    for (std::int64_t n = 0; n < arguments.dy.shape[0]; ++n) {
      places.push_back(tokens(n) < 0 ? -1 : static_cast<std::int32_t>(positions(n)));
    }
    const View index = dense_view(places.data(), DType::i32, {arguments.dy.shape[0]});
    add_rows<T, Wide<T>>(arguments.dy, index, arguments.position_table.view,
                         "embedding_gradient, positions");
  });
}

}  // namespace lathe
