// A small model with its parameters and inputs: what the tests of models and objectives share.
#pragma once

#include <lathe/conform/world.h>
#include <lathe/learn/model.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe::conform {

// What a model is built for: text, or the observations of a control task.
struct World {
  std::string name;
  ModelFit fit;
};
World text_world(bool values);
World control_world();  // three numbers are seen, one of four actions is taken; with values
World counted_world();  // the same with one of five states seen
World moving_world();   // three numbers are seen, the action is two numbers; with values

struct Learner {
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  Parameters parameters;
  World world;

  // Builds the model; Error where it refuses such a world.
  Learner(std::shared_ptr<Backend> on, std::unique_ptr<Model> of, const World& world,
          Precision precision, std::uint64_t seed);
  // The component under test.
  Learner(const Trial& trial, const Config& options, const World& world,
          Precision precision = Precision::f64, const std::string& backend = "reference",
          std::uint64_t seed = 5);
  // Moves every weight, so that no bias or norm stands at a value where an error would not show.
  void stir();
  // Gives every weight this value.
  void fill(double value);

  // rows x length places of random tokens or observations; `number` varies them.
  ModelInput input(std::int64_t rows, std::int64_t length, std::uint64_t number = 0) const;
  ModelInput input_of(const std::vector<std::int32_t>& tokens, std::int64_t rows,
                      const std::vector<std::int32_t>& positions,
                      const std::vector<std::int32_t>& segments = {}) const;
  Tensor wide(const std::vector<double>& values) const;  // [N]
  std::vector<std::int32_t> random_tokens(std::int64_t count, std::uint64_t number) const;

 private:
  void change(const std::function<void(const Parameter&, std::vector<double>&)>& by);
};

// Differentiates a scalar of the weights, by the tape and by central differences along random
// directions of each parameter, and tells each disagreement beyond 1e-6 of the norm.
void check_gradients(const Trial& trial, Learner& learner, const std::string& where,
                     const std::function<Tensor()>& scalar);

std::vector<std::int32_t> counting(std::int64_t count, std::int32_t from = 0);

}  // namespace lathe::conform
