#include <lathe/conform/learner.h>

#include <algorithm>
#include <cmath>

namespace lathe::conform {

World text_world(bool values) {
  World world{.name = "text", .fit = {}};
  world.fit.vocabulary = 11;
  world.fit.context = 80;
  world.fit.observations = Space::tokens(11);
  world.fit.actions = Space::tokens(11);
  world.fit.values = values;
  return world;
}

World control_world() {
  World world{.name = "control", .fit = {}};
  world.fit.vocabulary = 4;
  world.fit.context = 8;
  world.fit.observations = Space::box({-1, -1, -1}, {1, 1, 1});
  world.fit.actions = Space::discrete(4);
  world.fit.values = true;
  return world;
}

World counted_world() {
  World world = control_world();
  world.name = "counted states";
  world.fit.observations = Space::discrete(5);
  return world;
}

World moving_world() {
  World world = control_world();
  world.name = "control by numbers";
  world.fit.vocabulary = 2;
  world.fit.actions = Space::box({-1, -2}, {1, 2});
  return world;
}

Learner::Learner(std::shared_ptr<Backend> on, std::unique_ptr<Model> of, const World& built_for,
                 Precision precision, std::uint64_t seed)
    : backend(std::move(on)), model(std::move(of)), world(built_for) {
  model->build(parameters, world.fit);
  parameters.allocate(backend, precision, seed);
}

Learner::Learner(const Trial& trial, const Config& options, const World& built_for,
                 Precision precision, const std::string& backend_name, std::uint64_t seed)
    : Learner(trial.registry().create<Backend>(backend_name, Config()), trial.make<Model>(options),
              built_for, precision, seed) {}

void Learner::stir() {
  change([](const Parameter& parameter, std::vector<double>& values) {
    const RandomStream random(11, "conform/stir/" + parameter.name);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += 0.2 * random.normal(i);
  });
}

void Learner::fill(double value) {
  change([&](const Parameter&, std::vector<double>& values) {
    std::fill(values.begin(), values.end(), value);
  });
}

void Learner::change(
    const std::function<void(const Parameter& parameter, std::vector<double>& values)>& by) {
  for (Parameter& parameter : parameters.all()) {
    std::vector<double> values = parameter.master.values();
    by(parameter, values);
    Tensor target = parameter.master;
    const Tensor changed =
        parameter.master.dtype() == DType::f64
            ? Tensor::of<double>(backend, parameter.shape, values)
            : Tensor::of<float>(backend, parameter.shape,
                                std::vector<float>(values.begin(), values.end()));
    backend->copy(changed.view(), target.view());
  }
  parameters.refresh();
}

std::vector<std::int32_t> counting(std::int64_t count, std::int32_t from) {
  std::vector<std::int32_t> all;
  for (std::int32_t i = 0; i < count; ++i) all.push_back(from + i);
  return all;
}

std::vector<std::int32_t> Learner::random_tokens(std::int64_t count, std::uint64_t number) const {
  const RandomStream random(21, "conform/tokens", number);
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>(random.below(
        static_cast<std::uint64_t>(world.fit.vocabulary), static_cast<std::uint64_t>(i))));
  }
  return tokens;
}

Tensor Learner::wide(const std::vector<double>& values) const {
  const auto count = static_cast<std::int64_t>(values.size());
  if (parameters.precision() == Precision::f64) return Tensor::of<double>(backend, {count}, values);
  return Tensor::of<float>(backend, {count}, std::vector<float>(values.begin(), values.end()));
}

ModelInput Learner::input_of(const std::vector<std::int32_t>& tokens, std::int64_t rows,
                             const std::vector<std::int32_t>& positions,
                             const std::vector<std::int32_t>& segments) const {
  const auto count = static_cast<std::int64_t>(tokens.size());
  ModelInput input;
  input.tokens = Tensor::of<std::int32_t>(backend, {count}, tokens);
  input.places.rows = rows;
  input.places.length = count / rows;
  input.places.positions = Tensor::of<std::int32_t>(backend, {count}, positions);
  if (!segments.empty()) {
    input.places.segments = Tensor::of<std::int32_t>(backend, {rows, count / rows}, segments);
  }
  return input;
}

ModelInput Learner::input(std::int64_t rows, std::int64_t length, std::uint64_t number) const {
  std::vector<std::int32_t> positions;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (const std::int32_t place : counting(length)) positions.push_back(place);
  }
  const std::int64_t count = rows * length;
  ModelInput input = input_of(random_tokens(count, number), rows, positions);
  const Space& seen = world.fit.observations;
  if (seen.kind != Space::Kind::box) return input;
  std::vector<double> numbers;
  const RandomStream random(22, "conform/observations", number);
  for (std::int64_t i = 0; i < count * seen.size; ++i) {
    numbers.push_back(2 * random.uniform53(static_cast<std::uint64_t>(i)) - 1);
  }
  input.tokens = Tensor();
  input.observations = wide(numbers).reshape({count, seen.size});
  return input;
}

namespace {
std::vector<double> direction_of(const Trial& trial, const Parameter& parameter, int number) {
  const RandomStream random = trial.random(cat(parameter.name, "/", number));
  std::vector<double> direction;
  double norm = 0;
  for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
    direction.push_back(random.normal(static_cast<std::uint64_t>(i)));
    norm += direction.back() * direction.back();
  }
  for (double& value : direction) value /= std::sqrt(norm);
  return direction;
}

// (f(w + h d) - f(w - h d)) / 2h: its error is h^2/6 of the third derivative, and 1e-16 f / h.
double slope(const Parameter& parameter, const std::vector<double>& direction,
             const std::function<Tensor()>& scalar) {
  constexpr double h = 2e-5;
  auto* weights = parameter.master.view().as<double>();
  const std::vector<double> before(weights, weights + direction.size());
  const auto at = [&](double step) {
    for (std::size_t i = 0; i < before.size(); ++i) weights[i] = before[i] + step * direction[i];
    return scalar().item();
  };
  const double above = at(h);
  const double below = at(-h);
  std::copy(before.begin(), before.end(), weights);
  return (above - below) / (2 * h);
}
}  // namespace

void check_gradients(const Trial& trial, Learner& learner, const std::string& where,
                     const std::function<Tensor()>& scalar) {
  trial.phase("differentiating ", where);
  learner.parameters.begin_gradients();
  {
    Tape tape;
    tape.backward(scalar());
  }
  learner.parameters.finish_gradients();
  bool any = false;
  for (const Parameter& parameter : learner.parameters.all()) {
    const std::vector<double> gradient = parameter.gradient.values();
    double norm = 0;
    for (const double value : gradient) norm += value * value;
    norm = std::sqrt(norm);
    any = any || norm > 0;
    for (int number = 0; number < 2 + trial.level(); ++number) {
      const std::vector<double> direction = direction_of(trial, parameter, number);
      double along = 0;
      for (std::size_t i = 0; i < gradient.size(); ++i) along += gradient[i] * direction[i];
      const NoGradient silent;
      const double expected = slope(parameter, direction, scalar);
      // A direction of d random numbers sees about 1 / sqrt(d) of the norm.
      const double allowed = 1e-6 * std::max(norm, std::abs(expected)) + 1e-9;
      if (!trial.expect(std::abs(along - expected) <= allowed, where, ": the gradient of ",
                        parameter.name, " is ", along, " along a random direction, central ",
                        "differences give ", expected)) {
        break;
      }
    }
  }
  trial.expect(any, where, ": every gradient is 0, so that nothing is learnt");
}

}  // namespace lathe::conform
