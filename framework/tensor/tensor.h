// Tensor: a view of shared memory on a backend, and its place on the tape.
#pragma once

#include <lathe/tensor/arena.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct Variable;

// Cheap to copy; copies share elements. An empty Tensor stands for an absent operand.
class Tensor {
 public:
  Tensor() = default;
  // Elements are not initialised. Memory comes from the arena of the step under way, if any.
  static Tensor empty(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype);
  static Tensor zeros(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype);
  static Tensor full(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype,
                     double value);
  // Copies of host values (f32, f64 or i32).
  template <class T>
  static Tensor of(const std::shared_ptr<Backend>& backend, const Shape& shape,
                   std::span<const T> values) {
    Tensor tensor = empty(backend, shape, dtype_of<T>::value);
    tensor.upload(values.data(), values.size());
    return tensor;
  }
  // A window on memory that somebody else laid out (flat parameter buffers).
  Tensor(std::shared_ptr<Storage> storage, const View& view)
      : storage_(std::move(storage)), view_(view) {}

  explicit operator bool() const { return storage_ != nullptr; }
  const View& view() const { return view_; }
  const Shape& shape() const { return view_.shape; }
  std::int64_t size(int axis) const { return view_.shape[axis]; }
  std::int64_t count() const { return view_.count(); }
  DType dtype() const { return view_.dtype; }
  Backend& backend() const { return storage_->backend(); }
  const std::shared_ptr<Backend>& shared_backend() const { return storage_->shared_backend(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

  // The elements on the host in row-major order, as f64 or (i32 only) as integers.
  std::vector<double> values() const;
  std::vector<float> floats() const;  // rounded to f32
  std::vector<std::int32_t> integers() const;
  double item() const;  // of one element

  // ---- The tape's side
  const std::shared_ptr<Variable>& variable() const { return variable_; }
  void set_variable(std::shared_ptr<Variable> variable) { variable_ = std::move(variable); }
  Tensor detached() const;  // the same elements, unknown to the tape

  // Same elements under another shape, when strides allow it without a copy.
  Tensor reshape(const Shape& shape) const;

 private:
  void upload(const void* values, std::size_t count);

  std::shared_ptr<Storage> storage_;
  View view_;
  std::shared_ptr<Variable> variable_;
};

// f64 beside f64, else f32: the dtype of statistics, losses and parameter gradients.
inline DType wide_type(DType type) { return type == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace lathe
