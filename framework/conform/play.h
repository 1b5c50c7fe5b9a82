// An environment that is played at random: what the tests of environments share.
#pragma once

#include <lathe/conform/world.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/reward.h>
#include <lathe/text/bytes.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace lathe::conform {

// An open environment, what its rows see, and how far each has come.
class Play {
 public:
  Play(const Trial& trial, const Config& options, std::int64_t rows, std::uint64_t seed = 7);

  Environment& environment() { return *environment_; }

  void reset(std::int64_t row, std::uint64_t episode);
  void begin(std::uint64_t first = 0);  // row r in the episode first + r
  bool ended(std::int64_t row) const;

  // Actions that depend on the episode and its step alone; rows in `resting` rest.
  Actions draw(const std::set<std::int64_t>& resting = {}) const;
  void step(const std::set<std::int64_t>& resting = {});
  // As a feed does it: rows that have ended begin their next episode, `stride` further on.
  void step_on(std::uint64_t stride);

  // What a row sees and got, as a hash.
  std::string seen(std::int64_t row) const;

  Observations now;
  Outcomes outcomes;
  std::vector<std::uint64_t> episodes;
  std::vector<std::uint64_t> steps;

 private:
  const Trial& trial_;
  Examples examples_;
  BytesTokenizer tokenizer_;
  Rewards rewards_;
  std::unique_ptr<Environment> environment_;
  std::int64_t rows_;
};

}  // namespace lathe::conform
