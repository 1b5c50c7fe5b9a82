// One optimizer step after the other: the middle of every run, without files and messages.
#pragma once

#include <lathe/base/error.h>
#include <lathe/run/session.h>
#include <lathe/run/workers.h>
#include <lathe/tensor/arena.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lathe {

// What a step reports.
struct StepReport {
  double loss = 0;           // per unit of weight
  double gradient_norm = 0;  // before clipping
  double rate = 0;
  double tokens = 0;  // places that were fed
  std::vector<Metric> metrics;
  std::vector<Written> written;  // texts of the collection that was learnt from
};

// An evaluation: the loss and what else the objective measures, by name.
struct Evaluation {
  std::vector<std::pair<std::string, double>> values;
  double value(const std::string& name) const;  // Error with the names there are
};

// The weights have gone astray: a checkpoint of them would only be in the way of a better one.
struct Diverged : Error {
  using Error::Error;
};

// All that decides how a run goes on. Feeds and random streams are functions of the step.
struct TrainState {
  std::int64_t step = 0;     // steps done
  std::int64_t updates = 0;  // of these, the ones that had something to learn from
  double tokens = 0;
  double best = 0;
  std::int64_t best_step = -1;
  std::int64_t evaluations_since_best = 0;
  std::int64_t evaluated = -1;  // step of the last evaluation
  std::int64_t sampled = -1;    // step of the last sample
  std::int64_t end = -1;        // train.steps when it was saved
};

class Trainer {
 public:
  explicit Trainer(Session& session);

  // Step number state.step; raises it by one. A loss or gradient that is not finite is an Error,
  // and changes nothing.
  StepReport step();
  Evaluation evaluate();
  // Whether the evaluation is the best so far; keeps the count for early stopping.
  bool note(const Evaluation& evaluation);
  bool out_of_patience() const;

  TrainState state;
  // What the steps since the last line of metrics measured, where a policy acts: most of it is
  // known once a collection or when an episode ends, not at each step.
  std::vector<Metric> measured;
  Tensor first, second;  // moments; empty when the optimizer has none
  Tensor average;        // of the weights; empty without EMA
  Arena& arena() { return arena_; }
  // Actions taken in environments while training.
  std::int64_t actions_taken();
  std::unique_ptr<Workers> workers;  // none when learning is synchronous

  // Averaged weights in place of the trained ones, while it lives; nothing without EMA.
  class Averaged {
   public:
    explicit Averaged(Trainer& trainer);
    ~Averaged();
    Averaged(const Averaged&) = delete;
    Averaged& operator=(const Averaged&) = delete;

   private:
    void exchange();
    Trainer& trainer_;
  };

 private:
  double progress() const;
  void update(const Tensor& gradient, double scale, double factor);

  Session& session_;
  Arena arena_;
  Learner learner_;
};

}  // namespace lathe
