#include <lathe/base/error.h>
#include <lathe/base/log.h>
#include <lathe/base/random.h>
#include <lathe/data/packing.h>
#include <lathe/learn/feeds.h>

#include <algorithm>
#include <utility>

namespace lathe {

namespace {

std::uint64_t number(std::int64_t value) { return static_cast<std::uint64_t>(value); }

std::int64_t batches_of(std::int64_t rows, const FeedContext& context) {
  return (rows + context.rows - 1) / context.rows;
}

// The rows r of a batch, as numbered through the run (shuffled) or through one pass.
struct RowRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

RowRange rows_of_batch(std::int64_t batch, std::int64_t rows, const FeedContext& context) {
  if (batch < 0) fail("feed: there is no batch ", batch);
  if (context.shuffle) return {batch * context.rows, context.rows};
  const std::int64_t first = batch % batches_of(rows, context) * context.rows;
  return {first, std::min(context.rows, rows - first)};
}

std::int64_t permuted_index(const RandomStream& stream, std::int64_t i, std::int64_t count) {
  return static_cast<std::int64_t>(permuted(stream, number(i), number(count)));
}

// Which of `count` things comes at place `row` of an endless run of shuffled epochs.
std::int64_t shuffled(const FeedContext& context, std::int64_t row, std::int64_t count) {
  return permuted_index(RandomStream(context.seed, "feed", number(row / count)), row % count,
                        count);
}

void demand_shape(const FeedContext& context) {
  if (context.rows < 1 || context.length < 1) {
    fail("feed: batches of ", context.rows, " rows of ", context.length,
         " tokens are impossible: both must be at least 1");
  }
}

// Neither running text nor examples: another feed would find no more.
void demand_data(const FeedContext& context, const char* feed) {
  if (context.dataset->size(context.split) > 0 || !context.dataset->stream(context.split).empty()) {
    return;
  }
  fail(feed, ": the ", name_of(context.split),
       " split of the dataset is empty: give more data, or ", "hold out another share of it");
}

void place_example(Batch& batch, std::int64_t row, std::int64_t at, std::int32_t segment,
                   const Example& example, std::int64_t length) {
  const auto kept = static_cast<std::size_t>(length);
  place_piece(batch, row, at, segment, std::span(example.tokens).first(kept),
              std::span(example.weights).first(kept));
}

}  // namespace

Feed::~Feed() = default;
void Feed::observe(const Batch&, const Loss&) {}
std::int64_t Feed::actions_taken() const { return 0; }
void Feed::save(State&) const {}
void Feed::load(const State&) {}

void WindowsFeed::open(const FeedContext& context) {
  demand_shape(context);
  context_ = context;
  stream_ = context.dataset->stream(context.split);
  const auto size = static_cast<std::int64_t>(stream_.size());
  demand_data(context, "feed windows");
  if (size == 0) {
    fail("feed windows: the dataset has no running text in its ", name_of(context.split),
         " split: use the feed 'rows' or 'packed', or a dataset of running text");
  }
  const std::int64_t least = context.shuffle ? context.length + 1 : 2;
  if (size < least) {
    fail("feed windows: the ", name_of(context.split), " split has ", size,
         " tokens, but windows of ", context.length, " need at least ", least,
         ": make the windows shorter or give more text");
  }
  const std::int64_t targets = size - 1;
  windows_ =
      context.shuffle ? targets / context.length : (targets + context.length - 1) / context.length;
}

std::int64_t WindowsFeed::batches() const { return batches_of(windows_, context_); }

std::int64_t WindowsFeed::start_of(std::int64_t row) const {
  const auto size = static_cast<std::int64_t>(stream_.size());
  if (!context_.shuffle) return row * context_.length;
  if (with_.sampling == "random") {
    const RandomStream starts(context_.seed, "feed");
    return static_cast<std::int64_t>(starts.below(number(size - context_.length), number(row)));
  }
  const std::int64_t left_over = (size - 1) % context_.length;
  const RandomStream cuts(context_.seed, "feed/cut", number(row / windows_));
  const auto cut = static_cast<std::int64_t>(cuts.below(number(left_over + 1), 0));
  return cut + shuffled(context_, row, windows_) * context_.length;
}

Batch WindowsFeed::batch(std::int64_t number_of_batch) {
  const RowRange rows = rows_of_batch(number_of_batch, windows_, context_);
  Batch batch = padding_batch(rows.count, context_.length);
  for (std::int64_t b = 0; b < rows.count; ++b) {
    const std::int64_t start = start_of(rows.first + b);
    const std::int64_t length =
        std::min(context_.length, static_cast<std::int64_t>(stream_.size()) - 1 - start);
    for (std::int64_t t = 0; t < length; ++t) {
      const auto place = static_cast<std::size_t>(b * context_.length + t);
      const auto from = static_cast<std::size_t>(start + t);
      batch.tokens[place] = stream_[from];
      batch.targets[place] = stream_[from + 1];
      batch.weights[place] = 1.0f;
      batch.token_weights[place] = 1.0f;
      batch.positions[place] = static_cast<std::int32_t>(t);
      batch.segments[place] = 0;
    }
  }
  batch.first_row = rows.first;
  drop_trivial_segments(batch);
  return batch;
}

std::vector<std::int64_t> example_lengths(const FeedContext& context, bool cut) {
  const std::int64_t count = context.dataset->size(context.split);
  demand_data(context, "feed");
  if (count == 0) {
    fail("feed: the dataset has no examples in its ", name_of(context.split),
         " split: a running text needs the feed 'windows'");
  }
  std::vector<std::int64_t> lengths;
  std::int64_t too_long = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto length =
        static_cast<std::int64_t>(context.dataset->example(context.split, i).tokens.size());
    if (length == 0) fail("feed: ", name_of(context.split), " example ", i, " has no tokens");
    if (length > context.length && !cut) {
      fail("feed: ", name_of(context.split), " example ", i, " has ", length,
           " tokens, more than a row of ", context.length,
           ": make rows longer or set too_long = \"cut\"");
    }
    if (length > context.length) ++too_long;
    lengths.push_back(std::min(length, context.length));
  }
  if (too_long > 0) {
    log_warning(too_long, " of ", count, ' ', name_of(context.split), " examples are cut to ",
                context.length, " tokens");
  }
  return lengths;
}

void RowsFeed::open(const FeedContext& context) {
  demand_shape(context);
  context_ = context;
  lengths_ = example_lengths(context, with_.too_long == "cut");
}

std::int64_t RowsFeed::batches() const {
  return batches_of(static_cast<std::int64_t>(lengths_.size()), context_);
}

std::int64_t RowsFeed::example_of(std::int64_t row) const {
  return context_.shuffle ? shuffled(context_, row, static_cast<std::int64_t>(lengths_.size()))
                          : row;
}

Batch RowsFeed::batch(std::int64_t number_of_batch) {
  const RowRange rows =
      rows_of_batch(number_of_batch, static_cast<std::int64_t>(lengths_.size()), context_);
  std::vector<std::int64_t> examples;
  std::int64_t longest = 0;
  for (std::int64_t b = 0; b < rows.count; ++b) {
    examples.push_back(example_of(rows.first + b));
    longest = std::max(longest, lengths_[number(examples.back())]);
  }
  Batch batch = padding_batch(rows.count, with_.pad == "longest" ? longest : context_.length);
  for (std::int64_t b = 0; b < rows.count; ++b) {
    const std::int64_t index = examples[number(b)];
    place_example(batch, b, 0, 0, context_.dataset->example(context_.split, index),
                  lengths_[number(index)]);
  }
  batch.examples = std::move(examples);
  batch.first_row = rows.first;
  drop_trivial_segments(batch);
  return batch;
}

void PackedFeed::open(const FeedContext& context) {
  demand_shape(context);
  context_ = context;
  lengths_ = example_lengths(context, with_.too_long == "cut");
  plan_ = plan_of(0);
  planned_epoch_ = 0;
  rows_ = static_cast<std::int64_t>(plan_.size());
}

std::int64_t PackedFeed::batches() const { return batches_of(rows_, context_); }

PackedFeed::Plan PackedFeed::plan_of(std::int64_t epoch) const {
  if (!context_.shuffle) return best_fit_decreasing(lengths_, context_.length);
  const auto count = static_cast<std::int64_t>(lengths_.size());
  const RandomStream examples(context_.seed, "feed", number(epoch));
  std::vector<std::int64_t> order, lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    order.push_back(permuted_index(examples, i, count));
    lengths.push_back(lengths_[number(order.back())]);
  }
  Plan packed = best_fit_decreasing(lengths, context_.length);
  for (std::vector<std::int64_t>& row : packed) {
    for (std::int64_t& item : row) item = order[number(item)];
  }
  const RandomStream rows(context_.seed, "feed/rows", number(epoch));
  Plan plan;
  for (std::uint64_t r = 0; r < packed.size(); ++r) {
    plan.push_back(std::move(packed[permuted(rows, r, packed.size())]));
  }
  return plan;
}

const std::vector<std::int64_t>& PackedFeed::examples_of(std::int64_t row) {
  const std::int64_t epoch = row / rows_;
  if (epoch != planned_epoch_) {
    plan_ = plan_of(epoch);
    planned_epoch_ = epoch;
  }
  return plan_[number(row % rows_)];
}

Batch PackedFeed::batch(std::int64_t number_of_batch) {
  const RowRange rows = rows_of_batch(number_of_batch, rows_, context_);
  Batch batch = padding_batch(rows.count, context_.length);
  for (std::int64_t b = 0; b < rows.count; ++b) {
    const std::vector<std::int64_t>& examples = examples_of(rows.first + b);
    std::int64_t at = 0;
    for (std::size_t piece = 0; piece < examples.size(); ++piece) {
      const std::int64_t length = lengths_[number(examples[piece])];
      place_example(batch, b, at, static_cast<std::int32_t>(piece),
                    context_.dataset->example(context_.split, examples[piece]), length);
      at += length;
    }
    batch.examples[number(b)] = examples.front();
  }
  batch.first_row = rows.first;
  drop_trivial_segments(batch);
  return batch;
}

void PairsFeed::open(const FeedContext& context) {
  demand_shape(context);
  context_ = context;
  pairs_ = context.dataset->size(context.split);
  if (pairs_ == 0) {
    fail("feed 'pairs': the dataset has no pairs in its ", name_of(context.split), " split");
  }
  const bool cut = with_.too_long == "cut";
  for (std::int64_t i = 0; i < pairs_; ++i) {
    for (const Example& example : {context.dataset->example(context.split, i),
                                   context.dataset->rejected(context.split, i)}) {
      const auto length = static_cast<std::int64_t>(example.tokens.size());
      if (length > context.length && !cut) {
        fail("feed 'pairs': ", name_of(context.split), " pair ", i, " has a response that ends at ",
             "token ", length, ", past a row of ", context.length,
             ": make rows longer or set too_long = \"cut\"");
      }
    }
  }
}

std::int64_t PairsFeed::batches() const { return batches_of(pairs_, context_); }

Batch PairsFeed::batch(std::int64_t number_of_batch) {
  const RowRange range = rows_of_batch(number_of_batch, pairs_, context_);
  std::vector<Example> examples;
  std::vector<std::int64_t> numbers;
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < range.count; ++i) {
    const std::int64_t row = range.first + i;
    const std::int64_t pair = context_.shuffle ? shuffled(context_, row, pairs_) : row;
    examples.push_back(context_.dataset->example(context_.split, pair));
    examples.push_back(context_.dataset->rejected(context_.split, pair));
    numbers.insert(numbers.end(), 2, pair);
  }
  const auto cut = [&](const Example& example) {
    return std::min(static_cast<std::int64_t>(example.tokens.size()), context_.length);
  };
  for (const Example& example : examples) longest = std::max(longest, cut(example));
  Batch batch = padding_batch(static_cast<std::int64_t>(examples.size()), longest);
  for (std::size_t b = 0; b < examples.size(); ++b) {
    place_example(batch, static_cast<std::int64_t>(b), 0, 0, examples[b], cut(examples[b]));
  }
  batch.examples = std::move(numbers);
  batch.first_row = 2 * range.first;
  return batch;
}

}  // namespace lathe
