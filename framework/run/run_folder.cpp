#include <lathe/run/run_folder.h>

#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>

#include <algorithm>
#include <exception>
#include <iterator>

namespace lathe {

namespace {
constexpr std::string_view lock_name = "lock";
constexpr std::string_view log_name = "log.txt";
constexpr std::string_view events_prefix = "events.out.tfevents.";

// All that a run writes into its folder, besides events.
constexpr std::string_view names_of_a_run[] = {
    lock_name,       log_name,         "status",
    "checkpoints",   "tokenizer.json", "tokenizer_config.json",
    "resolved.toml", "sources",        "manifest.json",
    "metrics.jsonl", "samples.jsonl"};

bool is_of_a_run(std::string_view name) {
  // A file that is on its way to its name is called NAME.tmp.<process>.<n>.
  const std::string_view whole = name.substr(0, name.find(".tmp."));
  return name.starts_with(events_prefix) ||
         std::ranges::find(names_of_a_run, whole) != std::end(names_of_a_run);
}

// Other programs have files of that name too, and so have checkpoints.
bool holds_manifest(const std::filesystem::path& folder) {
  const std::string path = (folder / "manifest.json").string();
  if (!std::filesystem::is_regular_file(path)) return false;
  try {
    const Json manifest = read_json(path);
    return manifest.is_object() && manifest.contains("lathe") && manifest.contains("identity");
  } catch (const Error&) {
    return false;
  }
}

// Killed before it had its manifest, or while it was cleared: the lock comes before all else, and
// no checkpoint before the manifest.
bool was_begun(const std::filesystem::path& folder, const std::vector<std::string>& names) {
  const std::filesystem::path checkpoints = folder / "checkpoints";
  const auto has = [&](std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  return has(lock_name) && !has("manifest.json") && std::ranges::all_of(names, is_of_a_run) &&
         (!exists(checkpoints.string()) || std::filesystem::is_empty(checkpoints));
}

const std::filesystem::path& made(const std::filesystem::path& folder) {
  demand_run_folder(folder);
  make_folders(real_files(), folder.string());
  return folder;
}
}  // namespace

void demand_run_folder(const std::filesystem::path& path) {
  if (!exists(path.string())) return;
  const std::vector<std::string> names = list_folder(real_files(), path.string());
  if (names.empty() || was_begun(path, names) || holds_manifest(path)) return;
  fail(path.string(), ": is no run, and not empty (it holds '", names.front(),
       "'): a run would mix its files with these; choose another folder, or an empty one");
}

RunFolder::RunFolder(const std::filesystem::path& path, int keep_checkpoints)
    : path_(path), lock_(made(path), "run"), keep_(keep_checkpoints) {
  set_log_file((path / "log.txt").string());
  checkpoints_ =
      std::make_unique<Checkpoints>(real_files(), (path / "checkpoints").string(), keep_);
}

RunFolder::~RunFolder() {
  // An error on its way out still belongs in the log.
  if (std::uncaught_exceptions() == 0) set_log_file("");
}

void RunFolder::clear() {
  for (const std::string& name : list_folder(real_files(), path_.string())) {
    if (name == lock_name || name == log_name || !is_of_a_run(name)) continue;
    remove_all(real_files(), (path_ / name).string());
  }
  checkpoints_ =
      std::make_unique<Checkpoints>(real_files(), (path_ / "checkpoints").string(), keep_);
}

void RunFolder::open(std::optional<std::int64_t> keep_through) {
  trim_rows(real_files(), (path_ / "samples.jsonl").string(), keep_through);
  metrics_ =
      std::make_unique<MetricsFile>(real_files(), (path_ / "metrics.jsonl").string(), keep_through);
  events_ = std::make_unique<EventWriter>(real_files(), path_.string(), keep_through);
}

void RunFolder::metrics(std::int64_t step, std::span<const MetricValue> values) {
  metrics_->write(step, values);
  for (const auto& [name, value] : values) events_->scalar(name, value, step);
  events_->flush();
}

void RunFolder::sample(std::int64_t step, std::string_view prompt, std::string_view text,
                       std::optional<double> score) {
  Json line = {{"step", step}, {"prompt", prompt}, {"text", text}};
  if (score) line["score"] = *score;
  File file(real_files(), (path_ / "samples.jsonl").string(), OpenFor::appending);
  file.write(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  file.close();
}

std::vector<MetricValue> last_evaluation(const std::filesystem::path& folder) {
  constexpr std::string_view prefix = "eval/";
  std::vector<MetricValue> values;
  const std::vector<MetricsRow> rows =
      read_metrics(real_files(), (folder / "metrics.jsonl").string());
  for (auto row = rows.rbegin(); row != rows.rend() && values.empty(); ++row) {
    for (const auto& [name, value] : row->values) {
      if (name.starts_with(prefix)) values.emplace_back(name.substr(prefix.size()), value);
    }
  }
  return values;
}

}  // namespace lathe
