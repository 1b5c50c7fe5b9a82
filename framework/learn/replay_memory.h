// The memory of a replay: a ring of records of equal size, drawn evenly or by priority.
#pragma once

#include <lathe/base/random.h>
#include <lathe/base/state.h>
#include <lathe/learn/sum_tree.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// Bytes of the process, or of a file that goes when the object does (also when the process is
// killed). Pages take memory only once they are written.
class Mapping {
 public:
  Mapping() = default;
  Mapping(std::size_t bytes, const std::string& folder);  // folder "": no file
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Prioritised replay (Schaul et al., 2016, section 3.3 and Algorithm 1): record i is drawn with
// probability P(i) = p_i^exponent / sum_k p_k^exponent, p = |TD error| + offset. A new record has
// the largest priority so far. exponent 0: evenly.
struct ReplayOptions {
  std::int64_t capacity = 0;
  std::size_t record_bytes = 0;
  std::string folder;  // of the mapped file; empty: in memory
  double exponent = 0;
  double offset = 1e-6;
};

class ReplayMemory {
 public:
  ReplayMemory() = default;
  explicit ReplayMemory(const ReplayOptions& options);

  void add(std::span<const std::byte> record);  // in place of the oldest when full
  std::int64_t size() const { return size_; }
  std::int64_t added() const { return added_; }
  std::span<const std::byte> record(std::int64_t place) const;

  struct Draw {
    std::vector<std::int64_t> places;
    // (size P(i))^-importance, divided by the largest of the draw; empty when drawn evenly.
    std::vector<float> weights;
  };
  // `count` places with replacement; by priority: one from each of `count` equal parts of the sum.
  Draw draw(std::int64_t count, double importance, const RandomStream& random) const;
  void set_error(std::int64_t place, double error);  // |TD error| of a record
  double probability(std::int64_t place) const;      // P(i)

  void save(State& state) const;
  void load(const State& state);

 private:
  void set_weight(std::int64_t place, double priority);

  ReplayOptions with_;
  Mapping records_;
  std::int64_t size_ = 0;
  std::int64_t added_ = 0;  // since the beginning; the next goes to added_ % capacity
  SumTree weights_;         // p^exponent
  double largest_ = 1;      // priority so far
};

}  // namespace lathe
