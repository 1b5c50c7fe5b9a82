// A trained model, opened again to write or to judge texts.
#pragma once

#include <lathe/run/session.h>
#include <lathe/text/rows.h>

#include <memory>
#include <string>
#include <vector>

namespace lathe {

struct TrainedRequest {
  std::string path;                       // a run's folder, or one of its checkpoints
  std::vector<std::string> changes = {};  // "key=value", over the run's own settings
  bool newest = false;                    // of a run, the newest checkpoint instead of the best
};

// Throws Error where the path is neither, where no checkpoint of the run can be trusted, and where
// the model reads no text.
struct Trained {
  Trained(const TrainedRequest& request, Registry& registry);

  Experiment experiment;
  Session session;
};

// What stands around a text as the model knows it: an end token where it was trained on examples,
// which end with one, and nothing where it was trained on windows of running text.
TextFrame frame_of(const Experiment& experiment, const Tokenizer& tokenizer);

}  // namespace lathe
