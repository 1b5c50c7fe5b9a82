// TensorBoard event files: scalars, histograms and texts of a run.
//
// Records and masked CRCs: tensorboard/summary/writer/record_writer.py; messages:
// tensorboard/compat/proto/{event,summary,tensor}.proto, written by hand because so few fields are
// needed.
#pragma once

#include <lathe/base/file.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

// One file per run. Records go to the system with flush() or when 64 KiB are waiting; a killed run
// leaves a readable prefix.
class EventWriter {
 public:
  // Appends to the event file in `folder`, after cutting off an incomplete last record, or makes
  // one. With `keep_through`, TensorBoard is told to drop what was recorded for later steps,
  // because a run that goes on from a checkpoint will record them again.
  EventWriter(FileSystem& files, const std::string& folder,
              std::optional<std::int64_t> keep_through = std::nullopt);
  // Flushes, dropping a failure; call flush() to see it.
  ~EventWriter();

  // Stored as f32; what is not finite stays so.
  void scalar(std::string_view tag, double value, std::int64_t step);
  void text(std::string_view tag, std::string_view markdown, std::int64_t step);
  // 30 equal buckets between the smallest and the largest value; what is not finite is left out.
  void histogram(std::string_view tag, std::span<const float> values, std::int64_t step);
  void flush();

  const std::string& path() const { return file_.path(); }

 private:
  void event(std::int64_t step, std::uint32_t field, std::string_view message);
  void summary(std::int64_t step, std::string_view tag, std::string_view fields);
  void record(std::string_view data);

  File file_;
  std::string waiting_;
};

// The length of the whole records at the start of an event file.
std::uint64_t whole_records(std::string_view file);

}  // namespace lathe
