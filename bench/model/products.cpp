#include "products.h"

#include <sys/mman.h>

#include <dnnl.hpp>
#include <map>
#include <new>
#include <tuple>
#include <vector>

namespace lathe::bench {
namespace {
using dnnl::memory;
constexpr std::int64_t width = 768, vocabulary = 50257, layers = 12;

// Huge pages, filled with small numbers.
class Pages {
 public:
  Pages(std::int64_t count, DType type) : bytes_(static_cast<std::size_t>(count) * size_of(type)) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw std::bad_alloc();
    madvise(data_, bytes_, MADV_HUGEPAGE);
#pragma omp parallel for
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(i % 1999) * 1e-3F - 1;
      if (type == DType::f32) {
        static_cast<float*>(data_)[i] = value;
      } else {
        static_cast<bf16*>(data_)[i] = bf16(value);
      }
    }
  }
  ~Pages() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  Pages(Pages&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
  }
  Pages& operator=(Pages&&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

memory::desc matrix(std::int64_t rows, std::int64_t columns, DType type, std::int64_t row,
                    std::int64_t column) {
  const auto known = type == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
  return memory::desc({rows, columns}, known, memory::dims{row, column});
}

struct Layer {
  std::int64_t tokens, in, out;
  Pages x, weight, y, dx, dweight;  // y becomes dy
  Layer(std::int64_t rows, std::int64_t in_width, std::int64_t out_width, DType type)
      : tokens(rows),
        in(in_width),
        out(out_width),
        x(tokens * in, type),
        weight(in * out, type),
        y(tokens * out, type),
        dx(tokens * in, type),
        dweight(in * out, DType::f32) {}
};
}  // namespace

struct Gpt2Products::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  DType type;
  std::vector<Layer> all;

  void product(const memory::desc& a, const Pages& a_data, const memory::desc& b,
               const Pages& b_data, const memory::desc& c, const Pages& c_data) {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc made(engine, a, b, c);
#else
    const dnnl::matmul::primitive_desc made(dnnl::matmul::desc(a, b, c), engine);
#endif
    dnnl::matmul(made).execute(  // from oneDNN's own cache: microseconds
        stream, {{DNNL_ARG_SRC, memory(a, engine, a_data.data())},
                 {DNNL_ARG_WEIGHTS, memory(b, engine, b_data.data())},
                 {DNNL_ARG_DST, memory(c, engine, c_data.data())}});
    stream.wait();
  }
  void forward(const Layer& l) {
    product(matrix(l.tokens, l.in, type, l.in, 1), l.x, matrix(l.in, l.out, type, 1, l.in),
            l.weight, matrix(l.tokens, l.out, type, l.out, 1), l.y);
  }
  void backward(const Layer& l) {
    product(matrix(l.tokens, l.out, type, l.out, 1), l.y, matrix(l.out, l.in, type, l.in, 1),
            l.weight, matrix(l.tokens, l.in, type, l.in, 1), l.dx);
    product(matrix(l.out, l.tokens, type, 1, l.out), l.y, matrix(l.tokens, l.in, type, l.in, 1),
            l.x, matrix(l.out, l.in, DType::f32, l.in, 1), l.dweight);
  }
};

Gpt2Products::Gpt2Products(std::int64_t tokens, DType type, std::int64_t asked)
    : state_(std::make_unique<State>()) {
  state_->type = type;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    state_->all.emplace_back(tokens, width, 3 * width, type);
    state_->all.emplace_back(tokens, width, width, type);
    state_->all.emplace_back(tokens, width, 4 * width, type);
    state_->all.emplace_back(tokens, 4 * width, width, type);
  }
  state_->all.emplace_back(asked == 0 ? tokens : asked, width, vocabulary, type);
}
Gpt2Products::~Gpt2Products() = default;

void Gpt2Products::run() {
  for (const Layer& layer : state_->all) state_->forward(layer);
  for (auto layer = state_->all.rbegin(); layer != state_->all.rend(); ++layer) {
    state_->backward(*layer);
  }
}

double Gpt2Products::flops() const {
  double sum = 0;
  for (const Layer& layer : state_->all) {
    sum += 6 * static_cast<double>(layer.in * layer.out) * static_cast<double>(layer.tokens);
  }
  return sum;
}

}  // namespace lathe::bench
