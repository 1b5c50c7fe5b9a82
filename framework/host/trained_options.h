// Options of the verbs that use a trained model.
#pragma once

#include <lathe/host/verb.h>
#include <lathe/run/trained.h>

namespace lathe {

inline void declare_trained(boost::program_options::options_description& options) {
  namespace po = boost::program_options;
  options.add_options()("newest", "the newest checkpoint, not the best")(
      "precision", po::value<std::string>(), "f32 or bf16, in place of the run's")(
      "backend", po::value<std::string>(), "in place of the run's");
}

// The model named by the first word.
inline TrainedRequest trained_request(const Arguments& arguments) {
  TrainedRequest request{.path = arguments.word(0, "run folder"),
                         .newest = arguments.has("newest")};
  if (arguments.has("precision")) {
    request.changes.push_back("train.precision=" + arguments.text("precision"));
  }
  if (arguments.has("backend")) request.changes.push_back("backend=" + arguments.text("backend"));
  return request;
}

}  // namespace lathe
