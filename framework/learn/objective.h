// Objectives: what is minimised.
#pragma once

#include <lathe/base/state.h>
#include <lathe/data/batch.h>
#include <lathe/learn/acting.h>
#include <lathe/learn/model_copy.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

// The loss of one micro-batch. The loop alone divides, once, by the weight of all micro-batches:
// so accumulation cannot change the result.
struct Loss {
  Tensor sum;  // [1], on the tape while training
  double weight = 0;
  std::vector<Metric> metrics = {};
  std::vector<float> priorities = {};  // [B] for a prioritised replay: |TD error| of each row
  bool stop = false;  // the rest of this collection is not to be learnt from (KL early stop)
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
  const Tokenizer* tokenizer = nullptr;
  std::uint64_t seed = 0;  // of the run
  double progress = 0;     // share of the run's steps that are done; known in loss()
};

class Environment;

// What an objective may ask for when it is opened.
struct ObjectiveContext {
  const Model* model = nullptr;
  const Parameters* parameters = nullptr;
  const Environment* environment = nullptr;  // none without [environment]
  const Tokenizer* tokenizer = nullptr;      // none without [data]
  std::uint64_t seed = 0;
  std::int64_t steps = 0;  // optimizer steps of the whole run
  // A further model of the same shape: with the present weights; with those of the run's beginning
  // (also after a resume); with those of another run's best checkpoint.
  std::function<std::unique_ptr<ModelCopy>()> copy = {};
  std::function<std::unique_ptr<ModelCopy>()> initial = {};
  std::function<std::unique_ptr<ModelCopy>(const std::string& run)> load_model = {};
};

class Objective {
 public:
  static constexpr const char* kind = "objective";
  static constexpr int interface_version = 2;

  virtual ~Objective();

  // Whether the model needs a value head. Asked before the model is built.
  virtual bool wants_values() const;
  // Called once, after the model has its weights and before everything below.
  virtual void open(const ObjectiveContext& context);
  // How feeds act for this objective while training, and in evaluation (by default greedily).
  // `taken` counts the actions of the run so far.
  virtual ActingRule acting(std::int64_t taken) const;
  virtual ActingRule playing() const;
  // gamma: how much the successor of a place counts.
  virtual double discount() const;

  // Once a batch, off the tape: whatever the loss needs but takes no gradient from.
  virtual void prepare(Batch& batch, const ObjectivePass& pass);
  // The loss sum and its weight. The gradient of `sum` reaches the parameters by the tape.
  virtual Loss loss(const Batch& batch, const ObjectivePass& pass) = 0;
  // On held-out data, without a tape; by default the loss. For rows that were acted the feed has
  // put returns, lengths and scores into Batch::metrics, and by default nothing is added.
  virtual Loss evaluate(const Batch& batch, const ObjectivePass& pass);

  // What it must keep beside the model: target networks, coefficients that adapt.
  virtual void save(State& state) const;
  virtual void load(const State& state);
};

}  // namespace lathe
