// What an optimizer promises.
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/learn/optimizer.h>

#include <algorithm>
#include <cmath>

namespace lathe::conform {
namespace {
using Values = std::vector<double>;

// Parameters, a gradient and two moments in f64 on the reference, and steps on them. The second
// moment is there whether the optimizer wants it or not; a window that is not wanted must stay.
class Bench {
 public:
  Bench(const Trial& trial, const Optimizer& optimizer, std::int64_t count)
      : optimizer_(optimizer), backend_(reference(trial)) {
    const RandomStream random = trial.random("values");
    Values start, zeros(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      start.push_back(random.normal(static_cast<std::uint64_t>(i)));
    }
    parameter = Tensor::of<double>(backend_, {count}, start);
    gradient = Tensor::of<double>(backend_, {count}, zeros);
    first = Tensor::of<double>(backend_, {count}, zeros);
    second = Tensor::of<double>(backend_, {count}, zeros);
  }

  void set_gradient(const Values& values) {
    std::copy(values.begin(), values.end(), gradient.view().as<double>());
  }
  void step(bool decay = false, double factor = 1, double scale = 1) {
    const int moments = optimizer_.moments();
    ++number_;
    optimizer_.step(*backend_, {.parameter = parameter,
                                .gradient = gradient,
                                .first = moments > 0 ? first : Tensor(),
                                .second = moments > 1 ? second : Tensor(),
                                .shadow = {},
                                .gradient_scale = scale,
                                .rate_factor = factor,
                                .decay = decay,
                                .step = number_});
  }

  Tensor parameter, gradient, first, second;

 private:
  const Optimizer& optimizer_;
  std::shared_ptr<Backend> backend_;
  std::int64_t number_ = 0;
};

Values random_values(const Trial& trial, const char* what, std::int64_t count) {
  Values values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(trial.random(what).normal(static_cast<std::uint64_t>(i)));
  }
  return values;
}

std::string exercise(Trial& trial, const Config& options) {
  const auto optimizer = trial.make<Optimizer>(options);
  Bench bench(trial, *optimizer, 37);
  Digest digest;
  digest.add(optimizer->moments()).add(optimizer->rate());
  for (int i = 0; i < 3; ++i) {
    bench.set_gradient(random_values(trial, i % 2 == 0 ? "one" : "other", 37));
    bench.step(true, 0.5, 0.25);
  }
  return digest.add(bench.parameter.values())
      .add(bench.first.values())
      .add(bench.second.values())
      .hex();
}

// Checkpoints and memory are planned by what it says.
void moments(Trial& trial) {
  const auto optimizer = trial.make<Optimizer>();
  const int count = optimizer->moments();
  trial.expect(count >= 0 && count <= 2, "moments() is ", count, ", allowed: 0, 1 or 2");
  trial.expect(std::isfinite(optimizer->rate()) && optimizer->rate() >= 0, "rate() is ",
               optimizer->rate());
  Bench bench(trial, *optimizer, 5);
  bench.set_gradient({1, -2, 3, -4, 5});
  bench.step();
  const auto changed = [](const Tensor& moment) {
    const Values values = moment.values();
    return std::any_of(values.begin(), values.end(), [](double value) { return value != 0; });
  };
  trial.expect(count < 1 || changed(bench.first), "it asks for a first moment and leaves it at 0");
  trial.expect(count < 2 || changed(bench.second),
               "it asks for a second moment and leaves it at 0");
}

void rests(Trial& trial) {
  const auto optimizer = trial.make<Optimizer>();
  Bench bench(trial, *optimizer, 5);
  const Values before = bench.parameter.values();
  for (int i = 0; i < 3; ++i) bench.step(false);
  trial.expect(bench.parameter.values() == before,
               "without a gradient and without decay it changes weights");
  bench.set_gradient({1, 1, 1, 1, 1});
  bench.step(false, 0);
  trial.expect(bench.parameter.values() == before, "with a rate factor of 0 it changes weights");
}

// f(p) = sum of a_i p_i^2 / 2 from a random start.
void descends(Trial& trial) {
  const auto optimizer = trial.make<Optimizer>();
  if (optimizer->rate() == 0) trial.skip("its rate is 0");
  Bench bench(trial, *optimizer, 6);
  const Values slopes = {0.5, 1, 1.5, 0.7, 1.2, 0.9};
  const auto value = [&] {
    const Values p = bench.parameter.values();
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += slopes[i] * p[i] * p[i] / 2;
    return sum;
  };
  const double before = value();
  for (int i = 0; i < 200; ++i) {
    Values gradient = bench.parameter.values();
    for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] *= slopes[k];
    bench.set_gradient(gradient);
    bench.step();
  }
  trial.expect(value() < before, "200 steps on a quadratic led from ", before, " to ", value());
}

// The loop divides by weights and clips through the scale: it must act as on a scaled gradient.
void scales(Trial& trial) {
  const auto optimizer = trial.make<Optimizer>();
  Bench one(trial, *optimizer, 8), other(trial, *optimizer, 8);
  const Values gradient = random_values(trial, "gradient", 8);
  Values quarter = gradient;
  for (double& value : quarter) value *= 0.25;
  one.set_gradient(gradient);
  other.set_gradient(quarter);
  for (int i = 0; i < 2; ++i) {
    one.step(true, 1, 0.25);
    other.step(true, 1, 1);
  }
  trial.expect(one.parameter.values() == other.parameter.values(),
               "a gradient with gradient_scale 0.25 acts otherwise than a quarter of it");
  trial.expect(one.gradient.values() == gradient, "it writes to the gradient");
}

// Windows of the flat buffers are updated one by one: the cut must not matter.
void windows(Trial& trial) {
  const auto optimizer = trial.make<Optimizer>();
  Bench whole(trial, *optimizer, 2), alone(trial, *optimizer, 1);
  whole.set_gradient({0.3, -7});
  alone.set_gradient({0.3});
  for (int i = 0; i < 3; ++i) {
    whole.step();
    alone.step();
  }
  trial.expect(whole.parameter.values()[0] == alone.parameter.values()[0],
               "a weight's update depends on its neighbours in the buffer: parameters, decay "
               "groups and ranks are updated in separate windows");
}
}  // namespace

Suite optimizer_suite() {
  return {.kind = "optimizer",
          .fitting = {},
          .exercise = exercise,
          .tests = {{"moments", 1, "it uses the moments that it asks for", moments},
                    {"rests", 1, "no gradient and no decay: no change", rests},
                    {"scales", 2, "gradient_scale scales the gradient", scales},
                    {"windows", 2, "each weight is updated by itself", windows},
                    {"descends", 3, "it goes down a quadratic", descends}}};
}

}  // namespace lathe::conform
