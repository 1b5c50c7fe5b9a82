// Feeds: where the next batch comes from.
#pragma once

#include <lathe/data/batch.h>
#include <lathe/data/dataset.h>

#include <cstdint>

namespace lathe {

struct FeedContext {
  const Dataset* dataset = nullptr;
  const Tokenizer* tokenizer = nullptr;
  Split split = Split::train;
  std::int64_t rows = 0;    // B
  std::int64_t length = 0;  // T
  std::uint64_t seed = 0;
  bool shuffle = true;      // evaluation goes through the data in order, once
};

// A dataset feed is a pure function of the batch's number, so a resumed run needs no cursor.
class Feed {
 public:
  static constexpr const char* kind = "feed";
  static constexpr int interface_version = 1;

  virtual ~Feed();
  virtual void open(const FeedContext& context) = 0;
  // Batches that go through the data once. The last may hold fewer rows when not shuffled; when
  // shuffled it is filled with the first rows of the next epoch.
  virtual std::int64_t batches() const = 0;
  // Batch number 0, 1, 2, ..., without end.
  virtual Batch batch(std::int64_t number) = 0;
};

}  // namespace lathe
