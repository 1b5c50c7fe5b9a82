// The tables of an experiment that belong to the loop itself rather than to a plugin.
#pragma once

#include <lathe/config/keys.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lathe {

struct TrainSettings : Keys {
  std::int64_t steps = key("steps", 1000, "optimizer steps", at_least(0));
  std::int64_t batch = key("batch", 32, "rows B of a micro-batch", at_least(1));
  std::int64_t length = key("length", 128, "tokens T of a row", at_least(1));
  std::int64_t accumulation = key("accumulation", 1, "micro-batches of one step", at_least(1));
  double clip = key("clip", 1.0, "largest norm of the whole gradient; 0: no clipping", at_least(0));
  std::string precision =
      key("precision", "f32", "f32; bf16 with f32 master weights; f64 (reference backend)",
          one_of({"f32", "bf16", "f64"}));
  double ema = key("ema", 0.0, "decay of the averaged weights that are evaluated; 0: none",
                   at_least(0), below(1));
  std::string start = key("start", "", "begin from the weights of this run or checkpoint");
  int threads = key("threads", 0, "threads; 0: all processors. Changes no result", between(0, 4096),
                    affects_runtime);
  std::int64_t log_every =
      key("log_every", 10, "steps between two lines of metrics", at_least(1), affects_runtime);
};

// Learning by several workers at a time, see run/workers.h.
struct AsynchronousSettings : Keys {
  std::int64_t workers = key("workers", 0,
                             "workers with copies of the model, each acting in an environment of "
                             "its own; 0: learning is synchronous",
                             at_least(0));
  std::string order = key("order", "seeded",
                          "whose gradient comes next: drawn from the seed; as threads come in; as "
                          "recorded in another run",
                          one_of({"seeded", "free", "replay"}));
  std::string record = key("record", "", "the run whose order is replayed");
};

struct EvaluateSettings : Keys {
  std::int64_t every =
      key("every", 0, "steps between two evaluations; 0: at the end only", at_least(0));
  std::int64_t batches =
      key("batches", 0, "batches of an evaluation; 0: the whole validation split", at_least(0));
  std::int64_t batch = key("batch", 0, "rows of an evaluation batch; 0: train.batch", at_least(0));
  std::string best = key("best", "auto",
                         "metric that chooses the best checkpoint; auto: the return where a policy "
                         "acts, else the loss");
  std::string goal = key("goal", "auto",
                         "whether the best is the smallest or the largest; auto: the largest "
                         "return, the smallest of everything else",
                         one_of({"auto", "min", "max"}));
  std::int64_t episodes =
      key("episodes", 100, "episodes of an evaluation, where a policy acts", at_least(1));
  std::int64_t longest =
      key("longest", 100000,
          "steps after which an episode of an evaluation is cut and counts as it "
          "is: a policy may go in circles for ever; 0: never",
          at_least(0));
  std::int64_t patience = key(
      "patience", 0, "stop after this many evaluations without a new best; 0: never", at_least(0));
};

struct CheckpointSettings : Keys {
  std::int64_t every = key("every", 0, "steps between two checkpoints; 0: at the end only",
                           at_least(0), affects_runtime);
  int keep = key("keep", 2, "newest checkpoints that are kept, besides the best", at_least(1),
                 affects_runtime);
};

struct SampleSettings : Keys {
  std::int64_t every = key("every", 0, "steps between two sets of samples; 0: at the end only",
                           at_least(0), affects_runtime);
  std::vector<std::string> prompts = key("prompts", std::vector<std::string>(),
                                         "texts to go on from; none: no samples", affects_runtime);
  std::int64_t texts = key("texts", 8,
                           "where a policy writes: texts of the newest collection that are shown "
                           "with their scores",
                           at_least(0), affects_runtime);
  std::int64_t tokens = key("tokens", 100, "most tokens of a sample", at_least(1), affects_runtime);
  double temperature = key("temperature", 0.8, "of sampling; 0: the most likely token", at_least(0),
                           affects_runtime);
  std::int64_t top_k =
      key("top_k", 0, "keep the k most likely tokens; 0: all", at_least(0), affects_runtime);
};

// Of each [[reward]], beside the options of its plugin.
struct RewardSettings : Keys {
  double weight = key("weight", 1.0, "factor in the sum of all rewards");
  std::string name = key("name", "", "in metrics and messages; empty: that of the plugin");
};

struct TopSettings : Keys {
  std::int64_t seed = key("seed", 0, "of every random stream", at_least(0));
  std::string runs = key("runs", "runs", "folder under which runs are kept", affects_runtime);
};

}  // namespace lathe
