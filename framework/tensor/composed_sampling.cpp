// sample() on the host, for backends that have no form of their own: what lies in other memory is
// brought over and back.
#include <lathe/tensor/composed.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

namespace lathe {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// A view of i32 or (dense) f64 as the host can write it: as it lies, or a copy.
template <class T>
class OnHost {
 public:
  OnHost(Backend& backend, const View& view) : backend_(backend), view_(view) {
    if (!view || backend.host_memory()) return;
    values_.resize(at(view.count()));
    if (view.is_dense()) {
      backend.download(values_.data(), view.data, values_.size() * sizeof(T));
    } else {
      const Scratch dense = composed::cast(backend, view, view.dtype);
      backend.download(values_.data(), dense.view().data, values_.size() * sizeof(T));
    }
  }

  T& operator()(std::int64_t row, std::int64_t column = 0) {
    const bool matrix = view_.shape.rank() == 2;
    if (values_.empty()) {
      return view_.as<T>()[row * view_.stride(0) + (matrix ? column * view_.stride(1) : 0)];
    }
    return values_[at(matrix ? row * view_.shape[1] + column : row)];
  }
  // The first `count` of a row, where they lie together.
  std::span<const T> row(std::int64_t row, std::int64_t count) {
    if (view_.stride(1) == 1 || !values_.empty()) return {&(*this)(row), at(count)};
    copied_.clear();
    for (std::int64_t i = 0; i < count; ++i) copied_.push_back((*this)(row, i));
    return copied_;
  }
  std::uint64_t word(std::int64_t row, std::int64_t low) {
    return static_cast<std::uint32_t>((*this)(row, low)) |
           std::uint64_t{static_cast<std::uint32_t>((*this)(row, low + 1))} << 32;
  }
  void set_word(std::int64_t row, std::int64_t low, std::uint64_t value) {
    (*this)(row, low) = static_cast<T>(static_cast<std::uint32_t>(value));
    (*this)(row, low + 1) = static_cast<T>(static_cast<std::uint32_t>(value >> 32));
  }
  void write_back() {
    if (values_.empty()) return;
    if (view_.is_dense()) {
      backend_.upload(view_.data, values_.data(), values_.size() * sizeof(T));
      return;
    }
    const Scratch dense(backend_, view_.dtype, view_.shape);
    backend_.upload(dense.view().data, values_.data(), values_.size() * sizeof(T));
    backend_.copy(dense, view_);
  }

 private:
  Backend& backend_;
  View view_;
  std::vector<T> values_;  // empty: the view is used as it lies
  std::vector<T> copied_;
};

// A row of logits in f32.
class Logits {
 public:
  Logits(Backend& backend, const View& view) : backend_(backend), view_(view) {}

  std::span<const float> row(std::int64_t number) {
    const View row = sliced(view_, 0, number, number + 1);
    const std::size_t count = at(row.shape[1]);
    const bool as_it_lies = backend_.host_memory() && row.dtype == DType::f32 && row.stride(1) == 1;
    if (as_it_lies) return {row.as<float>(), count};
    narrow_.emplace(composed::cast(backend_, row, DType::f32));
    if (backend_.host_memory()) return {narrow_->view().as<float>(), count};
    values_.resize(count);
    backend_.download(values_.data(), narrow_->view().data, count * sizeof(float));
    return values_;
  }

 private:
  Backend& backend_;
  View view_;
  std::optional<Scratch> narrow_;
  std::vector<float> values_;
};
}  // namespace

void Backend::sample(const SampleArguments& arguments) {
  OnHost<std::int32_t> history(*this, arguments.history), random(*this, arguments.random),
      number(*this, arguments.draw), left(*this, arguments.left),
      position(*this, arguments.position), input(*this, arguments.token),
      count(*this, arguments.count), written(*this, arguments.written);
  OnHost<double> log_probability(*this, arguments.log_probability),
      sampled(*this, arguments.sampled_log_probability);
  Logits logits(*this, arguments.logits);
  for (std::int64_t b = 0; b < arguments.logits.shape[0]; ++b) {
    if (left(b) <= 0) continue;
    const std::span<const float> row = logits.row(b);
    std::span<const std::int32_t> seen;
    if (arguments.history && arguments.how.repetition_penalty != 1) {
      seen = history.row(b, position(b) + 1);
    }
    RandomStream stream;
    stream.key = {static_cast<std::uint32_t>(random(b, 0)),
                  static_cast<std::uint32_t>(random(b, 1))};
    stream.step = random.word(b, 2);
    const std::uint64_t draw_number = number.word(b, 0);
    const TokenProbability chosen = draw(row, seen, arguments.how, stream, draw_number);
    number.set_word(b, 0, draw_number + static_cast<std::uint64_t>(arguments.draw_step));

    const std::int32_t place = count(b)++;
    written(b, place) = chosen.token;
    log_probability(b, place) = static_cast<double>(row[at(chosen.token)]) - log_sum_exp(row);
    sampled(b, place) = std::log(chosen.probability);
    left(b) = chosen.token == arguments.end ? 0 : left(b) - 1;
    if (left(b) <= 0) continue;
    input(b) = chosen.token;
    ++position(b);
    if (arguments.history) history(b, position(b)) = chosen.token;
  }
  for (auto* view : {&history, &number, &left, &position, &input, &count, &written}) {
    view->write_back();
  }
  log_probability.write_back();
  sampled.write_back();
}

}  // namespace lathe
