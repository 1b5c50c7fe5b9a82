// The smallest backend there can be: the reference's memory and fine-grained ops, and for every
// coarse op the composed fallback. The suite holds the fallbacks against the reference with it.
#pragma once

#include <lathe/tensor/backend.h>

namespace lathe {

class ComposedBackend final : public Backend {
 public:
  explicit ComposedBackend(Backend& under) : under_(under) {}

  std::string device() const override { return "composed over " + under_.device(); }
  bool supports(DType type) const override { return under_.supports(type); }
  void* allocate(std::size_t bytes) override { return under_.allocate(bytes); }
  void release(void* data, std::size_t bytes) override { under_.release(data, bytes); }

  void copy(const View& from, const View& to) override { under_.copy(from, to); }
  void fill(const View& to, double value) override { under_.fill(to, value); }
  void unary(Unary op, const View& x, const View& y) override { under_.unary(op, x, y); }
  void binary(Binary op, const View& a, const View& b, const View& y) override {
    under_.binary(op, a, b, y);
  }
  void where(const View& condition, const View& a, const View& b, const View& y) override {
    under_.where(condition, a, b, y);
  }
  void reduce(Reduce op, const View& x, const View& y) override { under_.reduce(op, x, y); }
  void matmul(const View& a, const View& b, const Target& y) override { under_.matmul(a, b, y); }
  void softmax(const View& x, const View& y) override { under_.softmax(x, y); }
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override {
    under_.softmax_gradient(y, dy, dx);
  }
  void gather(const View& table, const View& index, const View& y) override {
    under_.gather(table, index, y);
  }
  void scatter_add(const View& rows, const View& index, const View& table) override {
    under_.scatter_add(rows, index, table);
  }
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override {
    under_.dropout(x, probability, random, y);
  }

 private:
  Backend& under_;
};

}  // namespace lathe
