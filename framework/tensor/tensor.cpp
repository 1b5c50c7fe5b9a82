#include <lathe/tensor/tensor.h>

#include <algorithm>
#include <type_traits>

namespace lathe {

Tensor Tensor::empty(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype) {
  const std::size_t bytes = static_cast<std::size_t>(shape.count()) * size_of(dtype);
  Arena* arena = Arena::current();
  Tensor tensor;
  tensor.storage_ = arena != nullptr && arena->serves(*backend)
                        ? arena->allocate(bytes)
                        : std::make_shared<Storage>(backend, std::max<std::size_t>(bytes, 1));
  tensor.view_ = dense_view(tensor.storage_->data(), dtype, shape);
  return tensor;
}

Tensor Tensor::full(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype,
                    double value) {
  Tensor tensor = empty(backend, shape, dtype);
  backend->fill(tensor.view_, value);
  return tensor;
}

Tensor Tensor::zeros(const std::shared_ptr<Backend>& backend, const Shape& shape, DType dtype) {
  return full(backend, shape, dtype, 0);
}

void Tensor::upload(const void* values, std::size_t count) {
  if (static_cast<std::int64_t>(count) != view_.count()) {
    fail("a tensor ", view_.shape.text(), " was given ", count, " values");
  }
  backend().upload(view_.data, values, count * size_of(view_.dtype));
}

namespace {
// The elements in row-major order, on the host, cast to T's dtype and then to Result.
template <class T, class Result = T>
std::vector<Result> host_values(const Tensor& tensor) {
  Backend& backend = tensor.backend();
  if (tensor.dtype() == dtype_of<T>::value && tensor.view().is_dense() && backend.host_memory()) {
    backend.synchronise();
    const T* values = tensor.view().as<T>();
    return {values, values + tensor.count()};
  }
  const auto count = static_cast<std::size_t>(tensor.count());
  Storage dense(tensor.shared_backend(), std::max<std::size_t>(count * sizeof(T), 1));
  backend.copy(tensor.view(), dense_view(dense.data(), dtype_of<T>::value, tensor.shape()));
  std::vector<T> values(count);
  backend.download(values.data(), dense.data(), count * sizeof(T));
  if constexpr (std::is_same_v<T, Result>) {
    return values;
  } else {
    return {values.begin(), values.end()};
  }
}
}  // namespace

std::vector<double> Tensor::values() const {
  if (dtype() == DType::f64) return host_values<double>(*this);
  if (dtype() == DType::i32) return host_values<std::int32_t, double>(*this);
  return host_values<float, double>(*this);
}

std::vector<float> Tensor::floats() const { return host_values<float>(*this); }

std::vector<std::int32_t> Tensor::integers() const {
  if (dtype() != DType::i32) fail("a tensor of ", name_of(dtype()), " was read as i32");
  return host_values<std::int32_t>(*this);
}

double Tensor::item() const {
  if (count() != 1) fail("item() of a tensor ", shape().text(), " with ", count(), " elements");
  return values()[0];
}

Tensor Tensor::detached() const {
  Tensor copy = *this;
  copy.variable_.reset();
  return copy;
}

Tensor Tensor::reshape(const Shape& shape) const {
  Tensor copy = *this;
  copy.view_ = reshaped(view_, shape);
  return copy;
}

}  // namespace lathe
