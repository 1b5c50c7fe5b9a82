#include "matmul.h"

#include <lathe/base/error.h>
#include <lathe/base/threads.h>

#include <dnnl.hpp>

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "kernels/activation.h"

namespace lathe {
namespace {
using dnnl::memory;

// What makes two products the same primitive.
using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                       std::int64_t, std::int64_t, std::int64_t, int, int, bool, bool, int>;

constexpr std::int64_t block_rows = 256;  // of a long sum

memory::data_type type_of(DType type) {
  return type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc matrix(std::int64_t rows, std::int64_t columns, DType type, std::int64_t row,
                    std::int64_t column) {
  return memory::desc({rows, columns}, type_of(type), memory::dims{row, column});
}

// The stride of an axis of one element means nothing; oneDNN reads it as a leading dimension, which
// must span the other axis. False for a matrix that oneDNN cannot describe (repeated rows).
bool settle(std::int64_t rows, std::int64_t columns, std::int64_t& row, std::int64_t& column) {
  if (columns == 1) column = 1;
  if (rows == 1 && column == 1) row = columns;
  if (rows == 1 && column != 1) row = 1;
  return (column == 1 && row >= columns) || (row == 1 && column >= rows);
}

struct Product {
  dnnl::matmul primitive;
  memory::desc a, b, c, bias;
};

Product make_product(const dnnl::engine& engine, const kernels::Gemm& g) {
  Product product;
  product.a = matrix(g.m, g.k, g.ab_type, g.a_row, g.a_column);
  product.b = matrix(g.k, g.n, g.ab_type, g.b_row, g.b_column);
  product.c = matrix(g.m, g.n, g.c_type, g.c_row, 1);
  dnnl::primitive_attr attributes;
  if (g.add) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    attributes.set_post_ops(after);
  }
  const bool biased = g.bias != nullptr;
  if (biased) product.bias = matrix(1, g.n, DType::f32, g.n, 1);
#if DNNL_VERSION_MAJOR >= 3
  const auto description =
      biased ? dnnl::matmul::primitive_desc(engine, product.a, product.b, product.bias, product.c,
                                            attributes)
             : dnnl::matmul::primitive_desc(engine, product.a, product.b, product.c, attributes);
#else
  const auto wish = biased ? dnnl::matmul::desc(product.a, product.b, product.bias, product.c)
                           : dnnl::matmul::desc(product.a, product.b, product.c);
  const dnnl::matmul::primitive_desc description(wish, attributes, engine);
#endif
  const std::string_view name = description.impl_info_str();
  if (name.find("ref") != std::string_view::npos) {
    fail("oneDNN has only reference loops ('", name, "') for a product of [", g.m, ", ", g.k,
         "] and [", g.k, ", ", g.n, "]; set backend.matmul = \"own\"");
  }
  product.primitive = dnnl::matmul(description);
  return product;
}
}  // namespace

struct OnednnMatmul::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Key, Product> products;

  void run(const kernels::Gemm& g) {
    const Key key{g.m,
                  g.n,
                  g.k,
                  g.a_row,
                  g.a_column,
                  g.b_row,
                  g.b_column,
                  g.c_row,
                  static_cast<int>(g.ab_type),
                  static_cast<int>(g.c_type),
                  g.add,
                  g.bias != nullptr,
                  threads()};
    auto found = products.find(key);
    if (found == products.end()) {
      if (products.size() > 4096) products.clear();  // shapes that never come back
      found = products.emplace(key, make_product(engine, g)).first;
    }
    const Product& p = found->second;
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, memory(p.a, engine, const_cast<void*>(g.a))},
        {DNNL_ARG_WEIGHTS, memory(p.b, engine, const_cast<void*>(g.b))},
        {DNNL_ARG_DST, memory(p.c, engine, g.c)}};
    if (g.bias != nullptr) {
      arguments.emplace(DNNL_ARG_BIAS, memory(p.bias, engine, const_cast<float*>(g.bias)));
    }
    p.primitive.execute(stream, arguments);
    stream.wait();
  }
};

OnednnMatmul::OnednnMatmul() = default;
OnednnMatmul::~OnednnMatmul() = default;

bool OnednnMatmul::run(const kernels::Gemm& gemm) {
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0 || gemm.residual != nullptr) return false;
  kernels::Gemm g = gemm;
  const bool fits = settle(g.m, g.k, g.a_row, g.a_column) && settle(g.k, g.n, g.b_row, g.b_column);
  if (!fits) return false;
  if (g.m == 1) g.c_row = g.n;
  if (!state_) state_ = std::make_unique<State>();
  g.activation = kernels::Activation::none;
  g.before = nullptr;
  if (gemm.activation != kernels::Activation::none) {
    if (g.c_row != g.n) return false;
    if (gemm.before != nullptr) g.c = gemm.before;
    state_->run(g);
    kernels::activation_forward({.dtype = gemm.c_type,
                                 .kind = gemm.activation,
                                 .rows = static_cast<std::size_t>(gemm.m),
                                 .width = static_cast<std::size_t>(gemm.n),
                                 .pre = g.c,
                                 .y = gemm.c});
    return true;
  }
  const bool long_sum = g.a_row == 1 && g.a_column != 1 && g.k > block_rows;
  if (long_sum && g.c_type != DType::f32) return false;
  if (!long_sum) {
    state_->run(g);
    return true;
  }
  const auto moved = [&](const void* data, std::int64_t elements) {
    return static_cast<const std::byte*>(data) +
           elements * static_cast<std::int64_t>(size_of(gemm.ab_type));
  };
  for (std::int64_t begin = 0; begin < gemm.k; begin += block_rows) {
    g.k = std::min(block_rows, gemm.k - begin);
    g.a = moved(gemm.a, begin * gemm.a_column);
    g.b = moved(gemm.b, begin * gemm.b_row);
    g.add = gemm.add || begin > 0;
    g.bias = begin > 0 ? nullptr : gemm.bias;
    state_->run(g);
  }
  return true;
}

}  // namespace lathe
