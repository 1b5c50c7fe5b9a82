// Feeds: where the next batch comes from.
#pragma once

#include <lathe/data/batch.h>
#include <lathe/data/dataset.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/objective.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace lathe {

struct FeedContext {
  const Dataset* dataset = nullptr;
  const Tokenizer* tokenizer = nullptr;
  Split split = Split::train;
  std::int64_t rows = 0;    // B
  std::int64_t length = 0;  // T
  std::uint64_t seed = 0;
  bool shuffle = true;  // evaluation goes through the data in order, once

  // For feeds that act. An environment of so many rows, wrapped as [wrap] says, not yet reset.
  std::function<std::unique_ptr<Environment>(std::int64_t rows)> make_environment = {};
  const Model* model = nullptr;
  const Parameters* parameters = nullptr;
  Objective* objective = nullptr;
  std::int64_t episodes = 0;   // of an evaluation
  std::int64_t longest = 0;    // steps after which one of these is cut; 0: never
  std::string stream = "act";  // name of the random stream that actions are drawn from
};

// A dataset feed is a pure function of the batch's number, so a resumed run needs no cursor. A feed
// that acts is asked for 0, 1, 2, ... in order and saves where it stands.
class Feed {
 public:
  static constexpr const char* kind = "feed";
  static constexpr int interface_version = 2;

  virtual ~Feed();
  virtual void open(const FeedContext& context) = 0;
  // Batches that go through the data once. The last may hold fewer rows when not shuffled; when
  // shuffled it is filled with the first rows of the next epoch.
  virtual std::int64_t batches() const = 0;
  // Batch number 0, 1, 2, ..., without end.
  virtual Batch batch(std::int64_t number) = 0;

  // What came of learning from the batch: priorities for a replay, an early stop.
  virtual void observe(const Batch& batch, const Loss& loss);
  // Actions taken in environments so far.
  virtual std::int64_t actions_taken() const;
  virtual void save(State& state) const;
  virtual void load(const State& state);
};

}  // namespace lathe
