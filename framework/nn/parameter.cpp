#include <lathe/nn/parameter.h>

#include <lathe/base/threads.h>
#include <lathe/nn/orthogonal.h>

#include <algorithm>

namespace lathe {

Precision precision_of(const std::string& name) {
  if (name == "f32") return Precision::f32;
  if (name == "bf16") return Precision::bf16;
  if (name == "f64") return Precision::f64;
  fail("unknown precision '", name, "'. Valid: f32, bf16, f64");
}

std::string_view name_of(Precision precision) {
  return precision == Precision::f32 ? "f32" : precision == Precision::bf16 ? "bf16" : "f64";
}

DType activation_type(Precision precision) {
  return precision == Precision::f32    ? DType::f32
         : precision == Precision::bf16 ? DType::bf16
                                        : DType::f64;
}

Parameter& Parameters::add(const std::string& name, const Shape& shape, Initial initial, bool decay,
                           bool matrix) {
  if (backend_) fail("parameter '", name, "' was added after the buffers were laid out");
  if (find(name) != nullptr) fail("two parameters are named '", name, "'");
  Parameter parameter;
  parameter.name = name;
  parameter.shape = shape;
  parameter.initial = initial;
  parameter.decay = decay;
  parameter.matrix = matrix;
  parameters_.push_back(std::move(parameter));
  return parameters_.back();
}

Parameter* Parameters::find(const std::string& name) {
  for (Parameter& parameter : parameters_) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

std::int64_t Parameters::count() const {
  std::int64_t total = 0;
  for (const Parameter& parameter : parameters_) total += parameter.shape.count();
  return total;
}

namespace {
Tensor window(const Tensor& flat, const Parameter& parameter) {
  const std::int64_t size = parameter.shape.count();
  const View part = sliced(flat.view(), 0, parameter.offset, parameter.offset + size);
  return Tensor(flat.storage(), reshaped(part, parameter.shape));
}

template <class T>
void initialise(const Parameter& parameter, std::uint64_t seed) {
  std::vector<T> values(static_cast<std::size_t>(parameter.shape.count()));
  const Initial& initial = parameter.initial;
  const RandomStream random(seed, "initial/" + parameter.name);
  std::vector<double> orthogonal;
  if (initial.kind == Initial::Kind::orthogonal) {
    if (parameter.shape.rank() != 2) {
      fail("parameter '", parameter.name, "' of shape ", parameter.shape.text(),
           " is to begin orthogonal, which only a matrix can be");
    }
    orthogonal = random_orthogonal(parameter.shape[0], parameter.shape[1], random);
  }
  parallel_for(parameter.shape.count(), 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      double value = 0;
      if (initial.kind == Initial::Kind::ones) value = 1;
      if (initial.kind == Initial::Kind::constant) value = initial.scale;
      if (initial.kind == Initial::Kind::normal) value = initial.scale * random.normal(index);
      if (initial.kind == Initial::Kind::uniform) {
        value = initial.scale * (2 * random.uniform53(index) - 1);
      }
      if (initial.kind == Initial::Kind::orthogonal) value = initial.scale * orthogonal[index];
      values[static_cast<std::size_t>(i)] = static_cast<T>(static_cast<float>(value));
    }
  });
  parameter.master.backend().upload(parameter.master.view().data, values.data(),
                                    values.size() * sizeof(T));
}
}  // namespace

void Parameters::allocate(const std::shared_ptr<Backend>& backend, Precision precision,
                          std::uint64_t seed) {
  const DType activations = activation_type(precision);
  if (!backend->supports(activations)) {
    fail("the backend on ", backend->device(), " has no ", name_of(activations),
         ": choose another train.precision or another backend");
  }
  backend_ = backend;
  precision_ = precision;
  constexpr std::int64_t step = 32;  // elements: 64 bytes of bf16
  std::int64_t offset = 0;
  for (const bool decay : {true, false}) {
    for (Parameter& parameter : parameters_) {
      if (parameter.decay != decay) continue;
      parameter.offset = offset;
      offset += (parameter.shape.count() + step - 1) / step * step;
    }
    if (decay) decayed_ = offset;
  }
  const DType wide = wide_type(activations);
  master_ = Tensor::zeros(backend, {offset}, wide);
  gradient_ = Tensor::zeros(backend, {offset}, wide);
  if (precision == Precision::bf16) shadow_ = Tensor::zeros(backend, {offset}, DType::bf16);
  for (Parameter& parameter : parameters_) {
    parameter.master = window(master_, parameter);
    parameter.gradient = window(gradient_, parameter);
    const bool narrow = precision == Precision::bf16 && parameter.matrix;
    parameter.value = narrow ? window(shadow_, parameter) : parameter.master;
    auto variable = std::make_shared<Variable>();
    variable->gradient = parameter.gradient;
    variable->parameter = true;
    variable->shape = parameter.shape;
    variable->dtype = wide;
    variable->backend = backend;
    parameter.value.set_variable(std::move(variable));
    if (wide == DType::f64) {
      initialise<double>(parameter, seed);
    } else {
      initialise<float>(parameter, seed);
    }
  }
  refresh();
}

Tensor Parameters::make_buffer() const {
  return Tensor::zeros(backend_, master_.shape(), master_.dtype());
}

void Parameters::begin_gradients() {
  for (Parameter& parameter : parameters_) {
    parameter.value.variable()->state = Variable::State::empty;
  }
}

void Parameters::finish_gradients() {
  for (Parameter& parameter : parameters_) {
    if (parameter.value.variable()->state == Variable::State::filled) continue;
    backend_->fill(parameter.gradient.view(), 0);
    parameter.value.variable()->state = Variable::State::filled;
  }
}

void Parameters::refresh() {
  if (shadow_) backend_->copy(master_.view(), shadow_.view());
}

}  // namespace lathe
