#include <lathe/run/run_folder.h>

#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>

#include <exception>

namespace lathe {

namespace {
const std::filesystem::path& made(const std::filesystem::path& folder) {
  make_folders(real_files(), folder.string());
  return folder;
}
}  // namespace

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
    if (name != "lock" && name != "log.txt") remove_all(real_files(), (path_ / name).string());
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
