// The objects of an experiment, made from its names.
#pragma once

#include <lathe/learn/feed.h>
#include <lathe/learn/model.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/optimizer.h>
#include <lathe/learn/reward.h>
#include <lathe/learn/wrap.h>
#include <lathe/run/experiment.h>
#include <lathe/run/start.h>

#include <filesystem>
#include <memory>
#include <optional>

namespace lathe {

struct SessionRequest {
  std::filesystem::path work_folder;       // relative data paths start here
  std::filesystem::path tokenizer_folder;  // of an earlier run; empty: from the experiment, and
                                           // the weights begin as train.start says
  std::optional<StartWeights> start = {};  // that the earlier run began with, as it noted them
  bool data = true;                        // false: only the model, for generation
};

// What a worker has of its own.
struct WorkerParts {
  std::unique_ptr<ModelCopy> copy;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Feed> feed;
};

// Everything a run works with. Made in the order of the members; the backend goes last.
struct Session {
  Session(const Experiment& experiment, Registry& registry, const SessionRequest& request);

  // A further model of the same shape, with the weights that the run began with.
  std::unique_ptr<ModelCopy> initial_model() const;
  // The model of a finished run or a checkpoint, which must read the same tokens.
  std::unique_ptr<ModelCopy> load_model(const std::string& run) const;
  // An environment as [environment] and [wrap] describe it. Each worker lives through other
  // episodes, the first one through those of synchronous learning.
  std::unique_ptr<Environment> make_environment(std::int64_t rows, Split split,
                                                std::int64_t worker = 0) const;
  // With the present weights; on a backend of its own where threads are to work side by side.
  WorkerParts make_worker(std::int64_t number, bool own_backend) const;
  // Whose gradients came in the run asynchronous.record, in their order.
  std::vector<std::int32_t> recorded_order() const;

  // What train.start meant when the run began; none without it.
  std::optional<StartWeights> start;
  TrainSettings train;
  AsynchronousSettings asynchronous;
  WrapSettings wrap;
  EvaluateSettings evaluate;
  std::uint64_t seed;
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Dataset> dataset;            // none where an environment needs no text
  std::unique_ptr<Tokenizer> tokenizer;        // likewise
  std::unique_ptr<Rewards> rewards;            // none without [[reward]]
  std::shared_ptr<WrapStatistics> statistics;  // of normalisation; learnt in training
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Environment> sight;  // one row, never stepped: tells the spaces, and the model
                                       // of a tabular environment; none without [environment]
  ModelFit fit;
  std::unique_ptr<Model> model;
  Parameters parameters;
  std::unique_ptr<Feed> feed;        // of the training split
  std::unique_ptr<Feed> validation;  // none when the split is empty
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;

 private:
  void read_data(const SessionRequest& request);
  void make_rewards();
  void see_environment(bool data);
  void make_model();
  void take_start(const std::string& checkpoint, Parameters& taking) const;
  std::unique_ptr<ModelCopy> fresh_model(const std::shared_ptr<Backend>& on) const;
  void open_objective(Objective& opened, const Model& of, const Parameters& weights) const;
  std::unique_ptr<Feed> open_feed(FeedContext context) const;
  template <class Kind>
  std::unique_ptr<Kind> make(const char* table) const;
  std::unique_ptr<Backend> make_backend() const;

  const Experiment& experiment_;
  Registry& registry_;
  std::filesystem::path work_folder_;
};

}  // namespace lathe
