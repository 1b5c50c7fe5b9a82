#include <lathe/base/clock.h>
#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/io/events.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace lathe {
namespace {

constexpr std::size_t flush_at = 1 << 16;

// The bytes of a number as they lie in a little-endian file.
template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// The wire format of protocol buffers: a key of field number and wire type, then the value.
enum class Wire : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint(std::uint64_t value) {
  std::string text;
  while (value >= 0x80) {
    text += static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  return text + static_cast<char>(value);
}
std::string key(std::uint32_t field, Wire wire) {
  return varint((field << 3) | static_cast<std::uint32_t>(wire));
}
std::string integer(std::uint32_t field, std::int64_t value) {
  return key(field, Wire::varint) + varint(static_cast<std::uint64_t>(value));
}
std::string f64(std::uint32_t field, double value) {
  return key(field, Wire::fixed64) + raw(value);
}
std::string f32(std::uint32_t field, float value) { return key(field, Wire::fixed32) + raw(value); }
std::string bytes(std::uint32_t field, std::string_view value) {
  return key(field, Wire::bytes) + varint(value.size()) + std::string(value);
}
std::string packed(std::uint32_t field, std::span<const double> values) {
  return bytes(field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

// Event
constexpr std::uint32_t wall_time = 1, event_step = 2, file_version = 3, event_summary = 5,
                        session_log = 7;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "host";
  std::string text = name.data();
  std::replace(text.begin(), text.end(), '/', '_');
  return text.empty() ? "host" : text;
}

std::string new_name() {
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%010lld", static_cast<long long>(wall_seconds()));
  return cat("events.out.tfevents.", seconds.data(), ".", host_name(), ".", ::getpid(), ".0");
}

// The event file of the folder, cut after its last whole record, or the name of a new one.
std::string prepared(FileSystem& files, const std::string& folder) {
  make_folders(files, folder);
  const std::vector<std::string> names = list_folder(files, folder);
  // The last one, should there be several: TensorBoard reads them in this order.
  const auto found = std::find_if(names.rbegin(), names.rend(), [](const std::string& name) {
    return name.starts_with("events.out.tfevents.") && name.find(".tmp.") == std::string::npos;
  });
  if (found == names.rend()) return join(folder, new_name());
  const std::string path = join(folder, *found);
  const std::string content = read_file(files, path);
  const std::uint64_t good = whole_records(content);
  if (good < content.size()) {
    write_durably(files, path, std::string_view(content).substr(0, good));
  }
  return path;
}

struct Buckets {
  std::vector<double> limits, counts;
};

Buckets buckets_of(std::span<const float> values, double low, double high) {
  constexpr std::size_t count = 30;
  Buckets buckets;
  if (low == high) return {{high}, {static_cast<double>(values.size())}};
  const double width = (high - low) / count;
  for (std::size_t i = 1; i < count; ++i) {
    buckets.limits.push_back(low + width * static_cast<double>(i));
  }
  buckets.limits.push_back(high);
  buckets.counts.resize(count);
  for (const float value : values) {
    const auto place = static_cast<std::size_t>((static_cast<double>(value) - low) / width);
    ++buckets.counts[std::min(place, count - 1)];
  }
  return buckets;
}

}  // namespace

std::uint64_t whole_records(std::string_view file) {
  std::uint64_t good = 0;
  for (;;) {
    const std::string_view rest = file.substr(good);
    std::uint64_t length = 0;
    if (rest.size() < 16) return good;
    std::memcpy(&length, rest.data(), 8);
    if (length > rest.size() - 16 ||
        raw(masked_crc(crc32c(rest.substr(0, 8)))) != rest.substr(8, 4) ||
        raw(masked_crc(crc32c(rest.substr(12, length)))) != rest.substr(12 + length, 4)) {
      return good;
    }
    good += 16 + length;
  }
}

EventWriter::EventWriter(FileSystem& files, const std::string& folder,
                         std::optional<std::int64_t> keep_through)
    : file_(files, prepared(files, folder), OpenFor::appending) {
  FileStatus status;
  files.status(file_.path(), status);
  // SessionLog.START, field 1. TensorBoard takes the first one for the start of the run, and each
  // later one for a restart that drops its step and all after it.
  const std::string start = integer(1, 1);
  if (status.size == 0) {
    event(0, file_version, "brain.Event:2");
    event(0, session_log, start);
  }
  if (keep_through) event(*keep_through + 1, session_log, start);
  flush();
}

EventWriter::~EventWriter() {
  try {
    flush();
  } catch (const Error&) {
  }
}

void EventWriter::scalar(std::string_view tag, double value, std::int64_t step) {
  summary(step, tag, f32(2, static_cast<float>(value)));
}

void EventWriter::text(std::string_view tag, std::string_view markdown, std::int64_t step) {
  constexpr std::int64_t string_type = 7;  // DT_STRING
  const std::string shape = bytes(2, integer(1, 1));
  const std::string tensor = integer(1, string_type) + bytes(2, shape) + bytes(8, markdown);
  const std::string metadata = bytes(1, bytes(1, "text"));  // plugin_data.plugin_name
  summary(step, tag, bytes(9, metadata) + bytes(8, tensor));
}

void EventWriter::histogram(std::string_view tag, std::span<const float> values,
                            std::int64_t step) {
  std::vector<float> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](float value) { return std::isfinite(value); });
  if (finite.empty()) return;
  const auto [lowest, highest] = std::minmax_element(finite.begin(), finite.end());
  const double low = static_cast<double>(*lowest), high = static_cast<double>(*highest);
  double sum = 0, squares = 0;
  for (const float value : finite) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const Buckets buckets = buckets_of(finite, low, high);
  summary(step, tag,
          bytes(5, f64(1, low) + f64(2, high) + f64(3, static_cast<double>(finite.size())) +
                       f64(4, sum) + f64(5, squares) + packed(6, buckets.limits) +
                       packed(7, buckets.counts)));
}

void EventWriter::flush() {
  if (waiting_.empty()) return;
  std::string out;
  out.swap(waiting_);
  file_.write(out);
}

void EventWriter::summary(std::int64_t step, std::string_view tag, std::string_view fields) {
  event(step, event_summary, bytes(1, bytes(1, tag) + std::string(fields)));
}

void EventWriter::event(std::int64_t step, std::uint32_t field, std::string_view message) {
  record(f64(wall_time, wall_seconds()) + integer(event_step, step) + bytes(field, message));
}

void EventWriter::record(std::string_view data) {
  const std::string length = raw(std::uint64_t{data.size()});
  waiting_ += length + raw(masked_crc(crc32c(length)));
  waiting_ += data;
  waiting_ += raw(masked_crc(crc32c(data)));
  if (waiting_.size() >= flush_at) flush();
}

}  // namespace lathe
