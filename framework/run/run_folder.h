// The files of a run while it goes on: metrics, events, samples, log, status, and the lock that
// keeps a second process out.
#pragma once

#include <lathe/base/lock.h>
#include <lathe/io/checkpoint.h>
#include <lathe/io/events.h>
#include <lathe/io/metrics_file.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// An Error, before anything is written, unless a run may live there: the folder is absent or
// empty, or it holds a run, be it one that was killed before it had written its manifest.
void demand_run_folder(const std::filesystem::path& path);

class RunFolder {
 public:
  // Makes the folder and locks it; an Error when another process works in it, or when it is full of
  // what no run has written.
  RunFolder(const std::filesystem::path& path, int keep_checkpoints);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  // Opens metrics and events; with a step, what later steps wrote is dropped.
  void open(std::optional<std::int64_t> keep_through);
  // What a run writes goes, but for the lock and the log, so that it can be done anew. Files of
  // other names stay.
  void clear();

  void metrics(std::int64_t step, std::span<const MetricValue> values);
  void sample(std::int64_t step, std::string_view prompt, std::string_view text,
              std::optional<double> score = std::nullopt);

  const std::filesystem::path& path() const { return path_; }
  Checkpoints& checkpoints() { return *checkpoints_; }

 private:
  std::filesystem::path path_;
  FolderLock lock_;
  int keep_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<EventWriter> events_;
};

// The newest evaluation in a run's metrics.jsonl, names without "eval/"; empty when there is none.
std::vector<MetricValue> last_evaluation(const std::filesystem::path& folder);

}  // namespace lathe
