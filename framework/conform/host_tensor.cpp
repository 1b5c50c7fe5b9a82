#include <lathe/conform/host_tensor.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

namespace lathe::conform {
namespace {
constexpr std::byte guard{0xA5};
constexpr std::int64_t margin = 64;  // elements before and after: keeps dense data aligned

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// The axes from outermost to innermost in memory.
std::vector<int> order_of(int rank, Layout layout) {
  std::vector<int> order(at(rank));
  std::iota(order.begin(), order.end(), 0);
  if (layout == Layout::transposed) std::reverse(order.begin(), order.end());
  if (layout == Layout::inner_kept && rank > 1) std::reverse(order.begin(), order.end() - 1);
  return order;
}

double value_of(const std::byte* from, DType dtype) {
  switch (dtype) {
    case DType::f32: {
      float value = 0;
      std::memcpy(&value, from, sizeof value);
      return static_cast<double>(value);
    }
    case DType::bf16: {
      bf16 value{};
      std::memcpy(&value, from, sizeof value);
      return static_cast<double>(static_cast<float>(value));
    }
    case DType::f64: {
      double value = 0;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
    case DType::i32: {
      std::int32_t value = 0;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
  }
  return 0;
}

template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

void store_as(std::byte* to, DType dtype, double value) {
  switch (dtype) {
    case DType::f32:
      return store(to, static_cast<float>(value));
    case DType::bf16:
      return store(to, bf16(static_cast<float>(value)));
    case DType::f64:
      return store(to, value);
    case DType::i32:
      return store(to, static_cast<std::int32_t>(value));
  }
}
}  // namespace

std::string name_of(Layout layout) {
  constexpr std::array names{"dense", "sliced", "transposed", "inner_kept", "broadcast"};
  return names[static_cast<std::size_t>(layout)];
}

HostTensor::HostTensor(Backend& backend, DType dtype, const Shape& shape, Layout layout)
    : backend_(backend) {
  Strides strides{};
  std::int64_t step = 1;
  std::int64_t first = margin;
  const std::vector<int> order = order_of(shape.rank(), layout);
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    if (layout == Layout::sliced) first += step;
    const bool repeats = layout == Layout::broadcast && *axis == 0;
    strides[at(*axis)] = repeats ? 0 : step;
    if (!repeats) step *= shape[*axis] + (layout == Layout::sliced ? 2 : 0);
  }
  const std::size_t size = size_of(dtype);
  bytes_ = at(first + step + margin) * size;
  memory_ = backend.allocate(bytes_);
  view_ = View{static_cast<std::byte*>(memory_) + at(first) * size, dtype, shape, strides};

  for (std::int64_t i = 0; i < shape.count(); ++i) {
    std::int64_t rest = i;
    std::int64_t place = first;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      place += rest % shape[axis] * strides[at(axis)];
      rest /= shape[axis];
    }
    places_.push_back(at(place) * size);
  }
  const std::vector<std::byte> filled(bytes_, guard);
  backend.upload(memory_, filled.data(), bytes_);
}

HostTensor::~HostTensor() { backend_.release(memory_, bytes_); }

std::vector<std::byte> HostTensor::downloaded() const {
  std::vector<std::byte> bytes(bytes_);
  backend_.synchronise();
  backend_.download(bytes.data(), memory_, bytes_);
  return bytes;
}

void HostTensor::set(const std::vector<double>& values) {
  std::vector<std::byte> bytes(bytes_, guard);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    store_as(bytes.data() + places_[i], view_.dtype, values.at(i));
  }
  backend_.upload(memory_, bytes.data(), bytes_);
}

std::vector<double> HostTensor::get() const {
  const std::vector<std::byte> bytes = downloaded();
  std::vector<double> values;
  values.reserve(places_.size());
  for (const std::size_t place : places_) {
    values.push_back(value_of(bytes.data() + place, view_.dtype));
  }
  return values;
}

std::vector<std::uint64_t> HostTensor::bits() const {
  const std::vector<std::byte> bytes = downloaded();
  std::vector<std::uint64_t> bits;
  bits.reserve(places_.size());
  for (const std::size_t place : places_) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + place, size_of(view_.dtype));
    bits.push_back(word);
  }
  return bits;
}

bool HostTensor::guards_intact() const {
  std::vector<std::byte> bytes = downloaded();
  for (const std::size_t place : places_) {
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(place), size_of(view_.dtype), guard);
  }
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == guard; });
}

}  // namespace lathe::conform
