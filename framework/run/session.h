// The objects of an experiment, made from its names.
#pragma once

#include <lathe/learn/feed.h>
#include <lathe/learn/model.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/optimizer.h>
#include <lathe/run/experiment.h>

#include <filesystem>
#include <memory>

namespace lathe {

struct SessionRequest {
  std::filesystem::path work_folder;       // relative data paths start here
  std::filesystem::path tokenizer_folder;  // of an earlier run; empty: from the experiment
  bool data = true;                        // false: only the model, for generation
};

// Everything a run works with. Made in the order of the members; the backend goes last.
struct Session {
  Session(const Experiment& experiment, Registry& registry, const SessionRequest& request);

  TrainSettings train;
  EvaluateSettings evaluate;
  std::uint64_t seed;
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Feed> feed;        // of the training split
  std::unique_ptr<Feed> validation;  // none when the split is empty
  std::unique_ptr<Model> model;
  Parameters parameters;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;

 private:
  void read_data(const Experiment& experiment, Registry& registry, const SessionRequest& request);
  std::unique_ptr<Feed> open_feed(const Experiment& experiment, Registry& registry, Split split);
};

}  // namespace lathe
