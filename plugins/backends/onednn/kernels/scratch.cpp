#include "scratch.h"

#include <lathe/base/error.h>

#include <memory>

namespace lathe::kernels {

namespace {

template <class T>
class Reused {
 public:
  T* at_least(std::size_t count) {
    if (held_ < count) {
      held_ = 0;
      memory_.reset();
      memory_ = std::make_unique_for_overwrite<T[]>(count);
      held_ = count;
    }
    return memory_.get();
  }

 private:
  std::unique_ptr<T[]> memory_;
  std::size_t held_ = 0;
};

}  // namespace

float* scratch(std::size_t count) {
  thread_local Reused<float> memory;
  return memory.at_least(count);
}

double* double_scratch(std::size_t count) {
  thread_local Reused<double> memory;
  return memory.at_least(count);
}

void require_float(DType type, std::string_view kernel) {
  if (type != DType::f32 && type != DType::bf16) {
    fail(kernel, ": element type ", name_of(type), "; the onednn backend takes f32 and bf16");
  }
}

}  // namespace lathe::kernels
