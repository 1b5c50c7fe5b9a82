#include <lathe/learn/replay_memory.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lathe/base/error.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

namespace lathe {
namespace {
// A file without a name in the folder, of the given size, or an Error.
int unnamed_file(const std::string& folder, std::size_t bytes) {
  std::string name = folder + "/replay-XXXXXX";
  const int file = ::mkstemp(name.data());
  if (file < 0) {
    fail("cannot make a file for the replay in '", folder, "': ", std::strerror(errno),
         ". Give feed.folder a folder that exists and can be written");
  }
  ::unlink(name.c_str());
  const int fault = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (fault != 0) {
    ::close(file);
    fail("no room for ", bytes, " bytes of replay in '", folder, "': ", std::strerror(fault),
         ". Lower feed.capacity or choose another feed.folder");
  }
  return file;
}
}  // namespace

Mapping::Mapping(std::size_t bytes, const std::string& folder) : bytes_(bytes) {
  const int file = folder.empty() ? -1 : unnamed_file(folder, bytes);
  const int flags = folder.empty() ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (file >= 0) ::close(file);
  if (data == MAP_FAILED) {
    fail("cannot map ", bytes, " bytes for the replay: ", std::strerror(errno),
         ". Lower feed.capacity");
  }
  data_ = static_cast<std::byte*>(data);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ReplayMemory::ReplayMemory(const ReplayOptions& options)
    : with_(options),
      records_(static_cast<std::size_t>(options.capacity) * options.record_bytes, options.folder),
      weights_(options.exponent > 0 ? options.capacity : 0) {}

std::span<const std::byte> ReplayMemory::record(std::int64_t place) const {
  return {records_.data() + static_cast<std::size_t>(place) * with_.record_bytes,
          with_.record_bytes};
}

void ReplayMemory::set_weight(std::int64_t place, double priority) {
  if (with_.exponent > 0) weights_.set(place, std::pow(priority, with_.exponent));
}

void ReplayMemory::add(std::span<const std::byte> record) {
  const std::int64_t place = added_ % with_.capacity;
  std::copy(record.begin(), record.end(),
            records_.data() + static_cast<std::size_t>(place) * with_.record_bytes);
  set_weight(place, largest_);
  ++added_;
  size_ = std::min(added_, with_.capacity);
}

double ReplayMemory::probability(std::int64_t place) const {
  if (with_.exponent == 0) return 1 / static_cast<double>(size_);
  return weights_.weight(place) / weights_.total();
}

ReplayMemory::Draw ReplayMemory::draw(std::int64_t count, double importance,
                                      const RandomStream& random) const {
  Draw drawn;
  const bool evenly = with_.exponent == 0;
  std::vector<double> weights;
  drawn.places.reserve(static_cast<std::size_t>(count));
  for (std::int64_t b = 0; b < count; ++b) {
    const auto index = static_cast<std::uint64_t>(b);
    if (evenly) {
      drawn.places.push_back(
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size_), index)));
      continue;
    }
    const double part =
        (static_cast<double>(b) + random.uniform53(index)) / static_cast<double>(count);
    const std::int64_t place = weights_.find(part * weights_.total());
    drawn.places.push_back(place);
    weights.push_back(std::pow(static_cast<double>(size_) * probability(place), -importance));
  }
  if (evenly) return drawn;
  const double largest = *std::max_element(weights.begin(), weights.end());
  for (const double weight : weights) {
    drawn.weights.push_back(static_cast<float>(weight / largest));
  }
  return drawn;
}

void ReplayMemory::set_error(std::int64_t place, double error) {
  const double priority = std::abs(error) + with_.offset;
  largest_ = std::max(largest_, priority);
  set_weight(place, priority);
}

void ReplayMemory::save(State& state) const {
  state.put("added", added_);
  state.put("largest", largest_);
  const std::size_t bytes = static_cast<std::size_t>(size_) * with_.record_bytes;
  state.put_bytes("records", StateType::u8, {records_.data(), bytes});
  std::vector<double> weights;
  if (with_.exponent > 0) {
    for (std::int64_t place = 0; place < size_; ++place) weights.push_back(weights_.weight(place));
  }
  state.put("weights", weights);
}

void ReplayMemory::load(const State& state) {
  added_ = state.integer("added");
  largest_ = state.number("largest");
  size_ = std::min(added_, with_.capacity);
  const auto records = state.get<std::uint8_t>("records");
  const auto weights = state.get<double>("weights");
  const std::size_t kept = with_.exponent > 0 ? static_cast<std::size_t>(size_) : 0;
  if (records.size() != static_cast<std::size_t>(size_) * with_.record_bytes ||
      weights.size() != kept) {
    fail("the saved replay holds ", records.size(), " bytes of records and ", weights.size(),
         " priorities; ", size_, " records of ", with_.record_bytes, " bytes were expected");
  }
  if (!records.empty()) std::memcpy(records_.data(), records.data(), records.size());
  for (std::size_t place = 0; place < weights.size(); ++place) {
    weights_.set(static_cast<std::int64_t>(place), weights[place]);
  }
}

}  // namespace lathe
