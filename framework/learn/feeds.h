// Feeds that cut a dataset into batches: windows of a running text, an example a row, several
// examples a row.
//
// Rows are numbered through the whole run: row b of batch n is row r = n B + b. Each feed defines
// row r alone, so a run in smaller batches sees the same rows in the same order, and the order of
// an epoch is a pure function of (seed, epoch). While shuffling, every batch is full; the one that
// ends an epoch begins the next. Without shuffling the last batch of a pass holds what is left.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/learn/feed.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// Windows of T tokens of a running text of S tokens, with all T next tokens as targets.
//   random  each begins anywhere in 0..S-T-1, independently (nanoGPT)
//   epoch   an epoch cuts the text, less up to T-1 tokens at its ends, into (S-1)/T windows and
//           goes through them in random order; the place of the first cut differs by epoch
// Without shuffling: consecutive windows, once through the text, the last one padded, so that each
// token but the first is a target exactly once.
class WindowsFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"dataset"};
  struct Options : Keys {
    std::string sampling = key("sampling", "random",
                               "how training draws windows: random places, or each window of the "
                               "text once an epoch",
                               one_of({"random", "epoch"}));
  };
  explicit WindowsFeed(const Config& config) : with_(config) {}

  void open(const FeedContext& context) override;
  std::int64_t batches() const override;
  Batch batch(std::int64_t number) override;

 private:
  std::int64_t start_of(std::int64_t row) const;

  Options with_;
  FeedContext context_;
  std::span<const std::int32_t> stream_;
  std::int64_t windows_ = 0;  // of one pass
};

// The lengths of the examples of a split, in 1..T. Longer ones are cut to T or are an Error that
// names the first of them.
std::vector<std::int64_t> example_lengths(const FeedContext& context, bool cut);

// One example a row, the rest padding. Each example is seen once an epoch.
class RowsFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"dataset"};
  struct Options : Keys {
    std::string too_long =
        key("too_long", "error", "an example longer than the row: stop, or cut off what is over",
            one_of({"error", "cut"}));
    std::string pad =
        key("pad", "length", "pad to the length of the row, or to the longest example of the batch",
            one_of({"length", "longest"}));
  };
  explicit RowsFeed(const Config& config) : with_(config) {}

  void open(const FeedContext& context) override;
  std::int64_t batches() const override;
  Batch batch(std::int64_t number) override;

 private:
  std::int64_t example_of(std::int64_t row) const;

  Options with_;
  FeedContext context_;
  std::vector<std::int64_t> lengths_;
};

// Several whole examples a row, by best_fit_decreasing over the epoch: examples of equal length and
// the rows themselves change places by epoch. Each example is seen once an epoch.
class PackedFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"dataset"};
  struct Options : Keys {
    std::string too_long =
        key("too_long", "error", "an example longer than the row: stop, or cut off what is over",
            one_of({"error", "cut"}));
  };
  explicit PackedFeed(const Config& config) : with_(config) {}

  void open(const FeedContext& context) override;
  std::int64_t batches() const override;
  Batch batch(std::int64_t number) override;

 private:
  using Plan = std::vector<std::vector<std::int64_t>>;  // examples of each row
  Plan plan_of(std::int64_t epoch) const;
  const std::vector<std::int64_t>& examples_of(std::int64_t row);

  Options with_;
  FeedContext context_;
  std::vector<std::int64_t> lengths_;
  std::int64_t rows_ = 0;  // of one pass; the same in every epoch
  Plan plan_;              // of planned_epoch_
  std::int64_t planned_epoch_ = -1;
};

// Preferences: rows 2i and 2i+1 are the chosen and the rejected response to the same prompt, so a
// batch has 2 B rows. Each pair is seen once an epoch.
class PairsFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"dataset"};
  struct Options : Keys {
    std::string too_long =
        key("too_long", "error", "a response longer than the row: stop, or cut off what is over",
            one_of({"error", "cut"}));
  };
  explicit PairsFeed(const Config& config) : with_(config) {}

  void open(const FeedContext& context) override;
  std::int64_t batches() const override;
  Batch batch(std::int64_t number) override;

 private:
  Options with_;
  FeedContext context_;
  std::int64_t pairs_ = 0;
};

}  // namespace lathe
