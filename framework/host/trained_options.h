// Options of the verbs that use a trained model, and the lines of files of texts.
#pragma once

#include <lathe/host/verb.h>
#include <lathe/run/trained.h>

#include <algorithm>
#include <string_view>

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

// The lines of a file that ends them with "\n" or "\r\n", empty ones too.
inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (end < text.size() && line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
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
