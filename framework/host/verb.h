// A verb of the command line: one file each, listed in main.cpp.
#pragma once

#include <lathe/base/progress.h>
#include <lathe/plugin/registry.h>

#include <boost/program_options.hpp>

#include <string>
#include <vector>

namespace lathe {

// Exit codes: 0 done, 1 failed, 2 wrong usage, 75 (EX_TEMPFAIL) stopped by a signal after saving.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_interrupted = 75;

// Words and options behind the verb.
struct Arguments {
  std::vector<std::string> all;    // argv, for the manifest
  std::vector<std::string> words;  // positional
  boost::program_options::variables_map options;

  bool has(const std::string& name) const { return options.count(name) != 0; }
  std::string text(const std::string& name) const { return options[name].as<std::string>(); }
  const std::string& word(std::size_t index, const char* what) const;
  // For verbs that read so many words: a further one would be passed over silently.
  void demand_at_most(std::size_t count) const;
  ProgressStyle progress() const;
};

// Wrong usage: the message and the verb's help go to standard error.
struct UsageError : Error {
  using Error::Error;
};

inline void Arguments::demand_at_most(std::size_t count) const {
  if (words.size() <= count) return;
  throw UsageError(cat("there is no use for the word '", words[count], "'",
                       count == 0 ? "" : cat(" behind '", words[count - 1], "'"),
                       ": a text with spaces needs quotes, an option its --name"));
}

struct Verb {
  const char* name;
  const char* usage;    // "FILE [key=value ...]"
  const char* meaning;  // one line
  void (*declare)(boost::program_options::options_description& options);
  int (*run)(const Arguments& arguments, Registry& registry);
};

extern const Verb run_verb, resume_verb, sweep_verb, check_verb, show_verb, generate_verb,
    score_verb, audit_verb, play_verb, plugins_verb, inspect_verb, sidecar_verb, conform_verb,
    new_verb, build_verb, test_verb, tokenizer_verb, doctor_verb;

// Where plugins are searched for: --plugin-path and the folders beside the framework's library.
PluginPlaces plugin_places(const Arguments& arguments);

}  // namespace lathe
