// The state of a training run as the files of a checkpoint, and back.
#pragma once

#include <lathe/io/checkpoint.h>
#include <lathe/run/trainer.h>

#include <string>
#include <vector>

namespace lathe {

// weights.safetensors (master weights by name), average.safetensors (with EMA),
// optimizer.safetensors (first.* and second.*), components.safetensors (what objective and feed
// keep, if anything), state.json.
//
// The files view the run's own memory: save them before the next step.
class StateFiles {
 public:
  StateFiles(Trainer& trainer, const Session& session);
  const std::vector<CheckpointFile>& files() const { return files_; }

 private:
  void add(const std::string& name, const std::vector<std::pair<std::string, Tensor>>& flats,
           const Parameters& parameters);
  void add_components(Trainer& trainer, const Session& session);

  std::vector<CheckpointFile> files_;
  std::vector<std::shared_ptr<std::vector<std::byte>>> copies_;  // of device memory
};

// Everything, for going on. `folder` is a verified checkpoint.
void load_state(const std::string& folder, Trainer& trainer, Session& session);
// What objective, feed and workers had kept; empty where there is none.
State load_components(const std::string& folder);
// The weights alone (the averaged ones, if there are any), for generation or a new start. Every
// parameter must be in the file, unless `demanded` is given and does not know it either: then it
// keeps its initial value (a value head that the former run had no use for). What the file has
// beyond the model is left out.
void load_weights(const std::string& folder, Parameters& parameters,
                  const Parameters* demanded = nullptr);

// The file of a checkpoint that load_weights reads.
std::string weights_file(const std::string& folder);

// find_newest_verified, but an Error when there are checkpoints and none of them verifies.
FoundCheckpoint newest_trusted(const std::string& folder);

// The checkpoint meant by a path: itself, a run folder (its best, else its newest verified).
std::string checkpoint_of(const std::string& path, bool best);

}  // namespace lathe
