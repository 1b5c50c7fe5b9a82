// What a feed promises: here, one of data.
#include <lathe/conform/feed_acting.h>
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/learn/feed.h>
#include <lathe/text/bytes.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace lathe::conform {
namespace {
constexpr std::int64_t examples_count = 29;

// A feed opened on examples in memory.
struct Opened {
  Examples examples;
  BytesTokenizer tokenizer;
  std::unique_ptr<Feed> feed;

  Opened(const Trial& trial, const Config& options, std::int64_t rows, bool shuffle,
         std::uint64_t seed = 7)
      : examples(RandomStream(41, "conform/feed"), examples_count),
        feed(trial.make<Feed>(options)) {
    if (feed_acts(trial)) trial.skip("it acts in an environment");
    trial.phase("opening it");
    feed->open({.dataset = &examples,
                .tokenizer = &tokenizer,
                .rows = rows,
                .length = Examples::longest,
                .seed = seed,
                .shuffle = shuffle});
    trial.phase("asking for batches");
  }
};

std::string digest_of(const Batch& batch) { return Digest().add(batch).hex(); }

std::string exercise(Trial& trial, const Config& options) {
  Digest digest;
  for (const bool shuffle : {true, false}) {
    const Opened opened(trial, options, 3, shuffle);
    digest.add(opened.feed->batches());
    for (std::int64_t n = 0; n < 12; ++n) digest.add(opened.feed->batch(n));
  }
  return digest.hex();
}

// "" where every array fits rows and length, and every value its range.
std::string fault_of(const Batch& batch, std::int64_t vocabulary) {
  const auto places = static_cast<std::size_t>(batch.rows * batch.length);
  if (batch.rows < 1 || batch.length < 1) return cat(batch.rows, " rows of ", batch.length);
  if (batch.tokens.size() != places || batch.targets.size() != places ||
      batch.weights.size() != places || batch.positions.size() != places) {
    return cat("tokens, targets, weights or positions are not ", places);
  }
  if (!batch.segments.empty() && batch.segments.size() != places) {
    return cat(batch.segments.size(), " segments for ", places, " places");
  }
  if (!batch.token_weights.empty() && batch.token_weights.size() != places) {
    return cat(batch.token_weights.size(), " token weights for ", places, " places");
  }
  for (std::size_t n = 0; n < places; ++n) {
    const std::int32_t token = batch.tokens[n], target = batch.targets[n];
    if (token < 0 || token >= vocabulary) return cat("the token ", token);
    if (target < -1 || target >= vocabulary) return cat("the target ", target);
    if (!std::isfinite(batch.weights[n]) || batch.weights[n] < 0) return "a weight out of range";
    if (target == -1 && batch.weights[n] != 0) return "a weight beside the target -1";
    if (batch.positions[n] < 0 || batch.positions[n] >= batch.length) return "a position outside";
    const bool padding = !batch.segments.empty() && batch.segments[n] < 0;
    if (padding && (token != 0 || target != -1)) return "padding that is not token 0, target -1";
  }
  return "";
}

void batches(Trial& trial) {
  for (const bool shuffle : {true, false}) {
    const Opened opened(trial, trial.options(), 4, shuffle);
    const std::int64_t count = opened.feed->batches();
    if (!trial.expect(count > 0, "batches() is ", count)) return;
    for (std::int64_t n = 0; n < count + 2; ++n) {
      const Batch batch = opened.feed->batch(n);
      const std::string fault = fault_of(batch, opened.tokenizer.size());
      if (!trial.expect(fault.empty(), "batch ", n, " has ", fault)) return;
      // A feed of pairs gives two rows for each that is asked for.
      trial.expect(!shuffle || batch.rows % 4 == 0, "batch ", n, " of training has ", batch.rows,
                   " rows where 4 were asked for");
    }
  }
}

// In any order, again, and from a second instance: so a resumed run needs no cursor.
void pure(Trial& trial) {
  const Opened one(trial, trial.options(), 4, true), other(trial, trial.options(), 4, true);
  std::vector<std::string> first;
  for (std::int64_t n = 0; n < 20; ++n) first.push_back(digest_of(one.feed->batch(n)));
  for (const std::int64_t n : {19, 0, 7, 7, 3, 12}) {
    trial.expect(digest_of(other.feed->batch(n)) == first[static_cast<std::size_t>(n)], "batch ", n,
                 " is another one when it is asked for out of order");
  }
  bool differs = false;
  const Opened seeded(trial, trial.options(), 4, true, 8);
  for (std::int64_t n = 0; n < 20; ++n) {
    differs = differs || digest_of(seeded.feed->batch(n)) != first[static_cast<std::size_t>(n)];
  }
  trial.expect(differs, "another seed gives the same order");
}

// Target and weight of everything that counts, however often.
std::map<std::pair<std::int32_t, float>, int> counted(const Opened& opened) {
  std::map<std::pair<std::int32_t, float>, int> all;
  for (std::int64_t n = 0; n < opened.feed->batches(); ++n) {
    const Batch batch = opened.feed->batch(n);
    for (std::size_t i = 0; i < batch.weights.size(); ++i) {
      if (batch.weights[i] > 0) ++all[{batch.targets[i], batch.weights[i]}];
    }
  }
  return all;
}

// An evaluation sees all that is held out, once, whatever the batch.
void whole(Trial& trial) {
  const Opened one(trial, trial.options(), 1, false);
  const auto all = counted(one);
  trial.expect(!all.empty(), "nothing counts in a whole pass");
  for (const std::int64_t rows : {3, 8, 64}) {
    const Opened other(trial, trial.options(), rows, false);
    trial.expect(counted(other) == all, "a pass in batches of ", rows,
                 " counts other targets than one in batches of 1");
  }
  double weight = 0;
  for (const auto& [what, times] : all) weight += static_cast<double>(what.second) * times;
  double examples = 0;
  for (std::int64_t i = 0; i < examples_count; ++i) {
    const Example example = one.examples.example(Split::validation, i);
    for (std::size_t t = 1; t < example.weights.size(); ++t) {
      examples += static_cast<double>(example.weights[t]);
    }
  }
  const auto text = static_cast<double>(one.examples.stream(Split::validation).size()) - 1;
  if (weight != examples && weight != text) {
    trial.warn("a pass has the weight ", weight, "; the examples have ", examples,
               ", the running text ", text);
  }
}

// An epoch of examples shows each of them once, in another order than the next.
void epoch(Trial& trial) {
  const Opened opened(trial, trial.options(), 1, true);
  if (opened.feed->batches() != examples_count) trial.skip("its rows are not single examples");
  std::vector<std::int64_t> orders[2];
  for (std::int64_t n = 0; n < 2 * examples_count; ++n) {
    const Batch batch = opened.feed->batch(n);
    if (batch.examples.size() != 1 || batch.examples[0] < 0) trial.skip("it names no examples");
    orders[n / examples_count].push_back(batch.examples[0]);
  }
  trial.expect(orders[0] != orders[1], "two epochs have the same order");
  for (auto& order : orders) {
    trial.expect(std::set<std::int64_t>(order.begin(), order.end()).size() == order.size(),
                 "an epoch shows an example twice, and another never");
  }
}

void resumes(Trial& trial) {
  const Opened one(trial, trial.options(), 3, true), other(trial, trial.options(), 3, true);
  for (std::int64_t n = 0; n < 5; ++n) one.feed->batch(n);
  State state;
  one.feed->save(state);
  other.feed->load(state);
  for (std::int64_t n = 5; n < 12; ++n) {
    trial.expect(digest_of(one.feed->batch(n)) == digest_of(other.feed->batch(n)), "batch ", n,
                 " is another one after save() and load()");
  }
}
}  // namespace

Suite feed_suite() {
  Suite suite = {.kind = "feed",
                 .fitting = {},
                 .exercise = exercise,
                 .tests = {{"batches", 1, "every array fits, every value is in range", batches},
                           {"pure", 2, "a batch depends on its number alone", pure},
                           {"resumes", 2, "it goes on from what it saved", resumes},
                           {"whole", 3, "a pass counts everything once, whatever the batch", whole},
                           {"epoch", 3, "an epoch shows each example once", epoch}}};
  for (Test& test : acting_feed_tests()) suite.tests.push_back(std::move(test));
  return suite;
}

}  // namespace lathe::conform
