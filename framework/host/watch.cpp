#include <lathe/host/watch.h>

#include <lathe/base/file.h>
#include <lathe/base/log.h>
#include <lathe/base/signal.h>
#include <lathe/host/compile.h>
#include <lathe/base/process.h>
#include <lathe/plugin/sources.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <thread>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
using Words = std::vector<std::string>;

// A plugin of the experiment, and its sources as they were last looked at.
struct Watched {
  filesystem::path library;
  filesystem::path source;  // its own file
  std::vector<PluginSource> files;
};

// "" where it cannot be read: editors replace files.
std::string text_now(const filesystem::path& path) {
  try {
    return read_file(path.string());
  } catch (const Error&) {
    return {};
  }
}

std::vector<Watched> watched_of(const Experiment& experiment, Registry& registry) {
  std::vector<Watched> all;
  for (const Filling& filling : experiment.fillings()) {
    const filesystem::path file = registry.file_of(filling.kind, filling.plugin);
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const Watched& other) { return other.library == file; });
    if (file.empty() || known) continue;
    if (auto sources = read_plugin_sources(file)) {
      all.push_back({file, sources->files.front().path, std::move(sources->files)});
    }
  }
  if (all.empty()) {
    fail("--watch has nothing to look at: no plugin of this experiment was made by `lathe build`");
  }
  return all;
}

class Watch {
 public:
  Watch(const Arguments& arguments, const Experiment& experiment, Registry& registry)
      : arguments_(arguments), plugins_(watched_of(experiment, registry)) {
    const filesystem::path folder =
        arguments.has("folder") ? filesystem::path(arguments.text("folder")) : experiment.folder();
    folder_ = filesystem::absolute(folder).string();
    for (const Watched& plugin : plugins_) log_info("watching ", plugin.source.string());
  }

  int run();

 private:
  Words command(bool first) const;
  bool has_changed(Watched& plugin);
  bool renew(const Watched& plugin);
  void demand_good(const filesystem::path& library) const;

  const Arguments& arguments_;
  std::vector<Watched> plugins_;
  std::string folder_;
  std::unique_ptr<Companion> process_;
};

// The words that this process was started with, but for what concerns the first start alone.
Words Watch::command(bool first) const {
  Words words = {own_program().string()};
  for (std::size_t i = 1; i < arguments_.all.size(); ++i) {
    const std::string& word = arguments_.all[i];
    if (word != "--watch" && (first || word != "--again")) words.push_back(word);
  }
  if (!arguments_.has("folder")) words.insert(words.end(), {"--folder", folder_});
  if (!first) words.push_back("--adopt");
  return words;
}

// True once the texts have changed and have stood still since the last look.
bool Watch::has_changed(Watched& plugin) {
  const auto changed = [](const PluginSource& file) { return text_now(file.path) != file.text; };
  if (std::none_of(plugin.files.begin(), plugin.files.end(), changed)) return false;
  std::vector<PluginSource> now = plugin.files;
  for (PluginSource& file : now) file.text = text_now(file.path);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  for (const PluginSource& file : now) {
    if (text_now(file.path) != file.text) return false;
  }
  plugin.files = std::move(now);
  return true;
}

// Throws Error with what the contract's check, or the check of the experiment, has said.
void Watch::demand_good(const filesystem::path& library) const {
  const std::string program = own_program().string();
  const std::string folder = library.parent_path().string();
  const ProgramEnd conform = run_program(
      {program, "conform", library.string(), "--level", "1", "--plugin-path", folder, "--quiet"});
  if (conform.code != 0) fail("the new plugin breaks its contract:\n", conform.output);
  Words words = {program, "check"};
  words.insert(words.end(), arguments_.words.begin(), arguments_.words.end());
  words.insert(words.end(), {"--plugin-path", folder});
  const ProgramEnd check = run_program(words);
  if (check.code != 0) fail("the new plugin does not fit the experiment:\n", check.output);
}

// Builds aside; only what is good takes the place of the library that the run uses.
bool Watch::renew(const Watched& plugin) {
  const filesystem::path aside = plugin.library.parent_path() / cat(".watch.", getpid());
  bool good = false;
  try {
    const BuiltPlugin built = build_plugin(plugin.source, aside);
    demand_good(built.library);
    log_info(plugin.source.filename().string(), " has changed: built in ",
             std::round(built.seconds * 10) / 10, " s, and keeps its contract");
    process_->stop();
    process_->wait();
    for (const std::string& name : list_folder(real_files(), aside.string())) {
      rename_path(real_files(), (aside / name).string(),
                  (plugin.library.parent_path() / name).string());
    }
    good = true;
  } catch (const Error& error) {
    log_error(error.what());
    log_info(process_->ended() ? "waiting for the next change" : "the run goes on as it was");
  }
  remove_all(real_files(), aside.string());
  return good;
}

int Watch::run() {
  const StopRequest stop;
  process_ = std::make_unique<Companion>(command(true));
  bool waiting = false;  // for a change, after a failure of the run
  for (;;) {
    if (stop.requested()) {
      process_->stop();
      return process_->wait();
    }
    if (!waiting && process_->ended()) {
      const int code = process_->wait();
      if (code == exit_done || code == exit_usage || code == exit_interrupted) return code;
      waiting = true;
      log_info("the run has ended with code ", code, "; a change of a source starts it again");
    }
    for (Watched& plugin : plugins_) {
      if (!has_changed(plugin) || !renew(plugin)) continue;
      if (!waiting && process_->wait() == exit_done) return exit_done;
      process_ = std::make_unique<Companion>(command(false));
      waiting = false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}
}  // namespace

int watch(const Arguments& arguments, const Experiment& experiment, Registry& registry) {
  return Watch(arguments, experiment, registry).run();
}

}  // namespace lathe
