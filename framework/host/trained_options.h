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

// What stands around a text.
inline void declare_frame(boost::program_options::options_description& options) {
  options.add_options()("frame",
                        boost::program_options::value<std::string>()->default_value("auto"),
                        "tokens around a text: none, begin, end, both, or auto, as in training");
}

inline TextFrame frame_of(const Arguments& arguments, const Trained& trained) {
  const std::string name = arguments.text("frame");
  if (name == "auto") return frame_of(trained.experiment, *trained.session.tokenizer);
  for (const char* known : {"none", "begin", "end", "both"}) {
    if (name == known) {
      return {.begin = name == "begin" || name == "both", .end = name == "end" || name == "both"};
    }
  }
  throw UsageError(cat("--frame ", name, ": auto, none, begin, end and both are known"));
}

}  // namespace lathe
