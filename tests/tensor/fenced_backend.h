// The reference backend with its memory out of the host's reach, as a GPU's is: pages that nobody
// may touch while none of its own calls is under way. Code that reads a tensor's bytes without a
// download dies by SIGSEGV.
#pragma once

#include <lathe/plugin/registry.h>
#include <lathe/tensor/backend.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>

namespace lathe::testing {

class FencedBackend final : public Backend {
 public:
  static constexpr const char* provides[] = {"f32 precision", "bf16 precision"};
  // The plugin that does the work, before the first of these is made.
  static inline std::unique_ptr<Backend> under;
  static inline std::uint64_t calls = 0;  // of ops, by all of these

  FencedBackend() {
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, addresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory_ == MAP_FAILED) fail("no addresses for the memory of the fenced backend");
  }
  ~FencedBackend() override { munmap(memory_, addresses); }
  FencedBackend(const FencedBackend&) = delete;
  FencedBackend& operator=(const FencedBackend&) = delete;

  std::string device() const override { return "fenced"; }
  bool supports(DType type) const override { return under->supports(type); }
  std::size_t alignment() const override { return 256; }
  bool host_memory() const override { return false; }

  // Nothing is used twice, so that what was given back is never read by chance.
  void* allocate(std::size_t bytes) override {
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + 255) / 256 * 256;
    if (used_ + size > addresses) fail("the fenced backend has no more addresses");
    void* data = memory_ + used_;
    used_ += size;
    return data;
  }
  void release(void*, std::size_t) override {}
  void upload(void* to, const void* host, std::size_t bytes) override {
    const Opened opened(*this);
    under->upload(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    const Opened opened(*this);
    under->download(host, from, bytes);
  }

  void copy(const View& from, const View& to) override {
    act([&] { under->copy(from, to); });
  }
  void fill(const View& to, double value) override {
    act([&] { under->fill(to, value); });
  }
  void unary(Unary op, const View& x, const View& y) override {
    act([&] { under->unary(op, x, y); });
  }
  void binary(Binary op, const View& a, const View& b, const View& y) override {
    act([&] { under->binary(op, a, b, y); });
  }
  void where(const View& condition, const View& a, const View& b, const View& y) override {
    act([&] { under->where(condition, a, b, y); });
  }
  void reduce(Reduce op, const View& x, const View& y) override {
    act([&] { under->reduce(op, x, y); });
  }
  void matmul(const View& a, const View& b, const Target& y) override {
    act([&] { under->matmul(a, b, y); });
  }
  void softmax(const View& x, const View& y) override {
    act([&] { under->softmax(x, y); });
  }
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override {
    act([&] { under->softmax_gradient(y, dy, dx); });
  }
  void gather(const View& table, const View& index, const View& y) override {
    act([&] { under->gather(table, index, y); });
  }
  void scatter_add(const View& rows, const View& index, const View& table) override {
    act([&] { under->scatter_add(rows, index, table); });
  }
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override {
    act([&] { under->dropout(x, probability, random, y); });
  }
  void linear(const LinearArguments& arguments) override {
    act([&] { under->linear(arguments); });
  }
  void linear_gradient(const LinearGradients& arguments) override {
    act([&] { under->linear_gradient(arguments); });
  }
  void norm(const NormArguments& arguments) override {
    act([&] { under->norm(arguments); });
  }
  void norm_gradient(const NormGradients& arguments) override {
    act([&] { under->norm_gradient(arguments); });
  }
  void attention(const AttentionArguments& arguments) override {
    act([&] { under->attention(arguments); });
  }
  void attention_gradient(const AttentionGradients& arguments) override {
    act([&] { under->attention_gradient(arguments); });
  }
  void embedding(const EmbeddingArguments& arguments) override {
    act([&] { under->embedding(arguments); });
  }
  void embedding_gradient(const EmbeddingGradients& arguments) override {
    act([&] { under->embedding_gradient(arguments); });
  }
  void head_loss(const HeadLossArguments& arguments) override {
    act([&] { under->head_loss(arguments); });
  }
  void head_tokens(const HeadTokensArguments& arguments) override {
    act([&] { under->head_tokens(arguments); });
  }
  void head_tokens_gradient(const HeadTokensGradients& arguments) override {
    act([&] { under->head_tokens_gradient(arguments); });
  }
  void rotary(const RotaryArguments& arguments) override {
    act([&] { under->rotary(arguments); });
  }
  void swiglu(const View& x, const View& y) override {
    act([&] { under->swiglu(x, y); });
  }
  void swiglu_gradient(const View& x, const View& dy, const Target& dx) override {
    act([&] { under->swiglu_gradient(x, dy, dx); });
  }
  void kv_append(const View& x, const View& position, const View& cache) override {
    act([&] { under->kv_append(x, position, cache); });
  }
  void adamw(const OptimizerArguments& arguments) override {
    act([&] { under->adamw(arguments); });
  }
  void sgd(const OptimizerArguments& arguments) override {
    act([&] { under->sgd(arguments); });
  }
  void lion(const OptimizerArguments& arguments) override {
    act([&] { under->lion(arguments); });
  }
  double sum_of_squares(const View& x) override {
    double sum = 0;
    act([&] { sum = under->sum_of_squares(x); });
    return sum;
  }
  void interpolate(const View& from, double amount, const View& to) override {
    act([&] { under->interpolate(from, amount, to); });
  }

 private:
  static constexpr std::size_t addresses = std::size_t{4} << 30;

  // The pages that are in use, open for as long as this lives.
  class Opened {
   public:
    explicit Opened(FencedBackend& backend) : backend_(backend) {
      backend_.protect(PROT_READ | PROT_WRITE);
    }
    ~Opened() { backend_.protect(PROT_NONE); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;

   private:
    FencedBackend& backend_;
  };
  template <class Op>
  void act(const Op& op) {
    ++calls;
    const Opened opened(*this);
    op();
  }
  void protect(int how) {
    const std::size_t bytes = (used_ + 4095) / 4096 * 4096;
    if (bytes != 0 && mprotect(memory_, bytes, how) != 0) fail("mprotect failed");
  }

  std::byte* memory_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace lathe::testing
