// Objectives: what is minimised.
#pragma once

#include <lathe/data/batch.h>
#include <lathe/learn/model.h>

#include <string>
#include <vector>

namespace lathe {

// One reported number: a sum and what to divide it by, so that micro-batches and ranks add up.
struct Metric {
  std::string name;
  double sum = 0;
  double weight = 0;
};

// The loss of one micro-batch. The loop alone divides, once, by the weight of all micro-batches:
// so accumulation cannot change the result.
struct Loss {
  Tensor sum;  // [1], on the tape while training
  double weight = 0;
  std::vector<Metric> metrics;
};

// A batch on the backend.
struct DeviceBatch {
  ModelInput input;
  Tensor targets;     // [N] i32
  Tensor weights;     // [N] wide
  double weight = 0;  // sum of the weights

  DeviceBatch(const Batch& batch, const Parameters& parameters);
};

// What an objective may use during one micro-batch.
struct ObjectivePass {
  const Model* model = nullptr;
  const Parameters* parameters = nullptr;
  PassOptions options;
};

class Objective {
 public:
  static constexpr const char* kind = "objective";
  static constexpr int interface_version = 1;

  virtual ~Objective();

  // Once a batch, off the tape: whatever the loss needs but takes no gradient from.
  virtual void prepare(Batch& batch, const ObjectivePass& pass);
  // The loss sum and its weight. The gradient of `sum` reaches the parameters by the tape.
  virtual Loss loss(const Batch& batch, const ObjectivePass& pass) = 0;
  // On held-out data, without a tape; by default the loss.
  virtual Loss evaluate(const Batch& batch, const ObjectivePass& pass);
};

}  // namespace lathe
