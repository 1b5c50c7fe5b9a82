// Parameters of a model in flat buffers.
//
// All master weights lie in one buffer, all gradients in a second, bf16 copies in a third; the
// moments of the optimizer have the same layout. So an optimizer step, a norm, a checkpoint or an
// all-reduce is one pass over one block. Parameters with weight decay come first.
#pragma once

#include <lathe/tensor/tape.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

// f32: everything in f32. bf16: matrices and activations in bf16, with f32 master weights,
// moments and gradients. f64: everything in f64 (reference backend; for exact checks).
enum class Precision : std::uint8_t { f32, bf16, f64 };
Precision precision_of(const std::string& name);
std::string_view name_of(Precision precision);
DType activation_type(Precision precision);

// How a parameter begins. The values depend on the seed and the parameter's name alone.
struct Initial {
  enum class Kind : std::uint8_t {
    zeros,
    ones,
    constant,
    normal,
    uniform,
    orthogonal
  } kind = Kind::zeros;
  double scale = 0;  // value, standard deviation, half width of the interval around 0, or gain

  static Initial zeros() { return {}; }
  static Initial ones() { return {Kind::ones, 0}; }
  static Initial normal(double deviation) { return {Kind::normal, deviation}; }
  static Initial uniform(double bound) { return {Kind::uniform, bound}; }
  static Initial constant(double value) { return {Kind::constant, value}; }
  // gain times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al.,
  // 2014).
  static Initial orthogonal(double gain) { return {Kind::orthogonal, gain}; }
};

struct Parameter {
  std::string name;
  Shape shape;
  Initial initial;
  bool decay = false;   // takes part in weight decay
  bool matrix = false;  // used in bf16 when the precision is bf16

  Tensor value;             // what ops take: the master weights or their bf16 copy
  Tensor master;            // window of the master buffer
  Tensor gradient;          // window of the gradient buffer
  std::int64_t offset = 0;  // in elements of the flat buffers
};

class Parameters {
 public:
  // Before allocate(). Names are unique. The reference stays valid.
  Parameter& add(const std::string& name, const Shape& shape, Initial initial, bool decay,
                 bool matrix);
  // Weight matrices decay, biases and norms do not (set per parameter through add()).
  Parameter& matrix(const std::string& name, const Shape& shape, Initial initial) {
    return add(name, shape, initial, true, true);
  }
  Parameter& vector(const std::string& name, std::int64_t size, Initial initial) {
    return add(name, {size}, initial, false, false);
  }

  void allocate(const std::shared_ptr<Backend>& backend, Precision precision, std::uint64_t seed);

  Precision precision() const { return precision_; }
  const std::shared_ptr<Backend>& backend() const { return backend_; }
  std::deque<Parameter>& all() { return parameters_; }
  const std::deque<Parameter>& all() const { return parameters_; }
  Parameter* find(const std::string& name);
  std::int64_t count() const;  // of weights, without the padding between windows

  // The flat buffers, padding included; every window begins at a multiple of 64 bytes.
  const Tensor& master() const { return master_; }
  const Tensor& gradient() const { return gradient_; }
  const Tensor& shadow() const { return shadow_; }   // bf16, or empty
  std::int64_t decayed() const { return decayed_; }  // elements [0, decayed) decay
  Tensor make_buffer() const;                        // zeros, same layout (moments, EMA)

  // Gradients: the first to arrive overwrites, later ones add; what got none by finish is zero.
  void begin_gradients();
  void finish_gradients();
  // After master weights changed from outside (loading): refreshes the bf16 copies.
  void refresh();

 private:
  std::shared_ptr<Backend> backend_;
  Precision precision_ = Precision::f32;
  std::deque<Parameter> parameters_;
  Tensor master_;
  Tensor gradient_;
  Tensor shadow_;
  std::int64_t decayed_ = 0;
};

}  // namespace lathe
