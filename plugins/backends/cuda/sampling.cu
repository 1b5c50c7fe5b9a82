// Drawing tokens: one block for each row of logits, all of it in double precision as on the host.
//
// A sum here runs in another order than the host's, so cumulative weights differ by at most
// 2 V 2^-53 of their total, and by what `exp` and 1 / temperature round: the token is another one
// than the host's only where the draw falls that near to a border. What has no sum (the largest
// logit, the choice among equals, epsilon) is the host's exactly.
//
// What is cut off (top-k, top-p, min-p) is a tail of the tokens in the order of their scores, equal
// ones by their ids. That order is never made: the end of what stays is found by bisection over
// the bits of the scores, and so is the token that is drawn, which ends the shortest beginning
// whose weight passes the draw.
#include <device/launch.h>
#include <device/range.h>

#include <bit>

#include "collect.h"
#include "cuda.h"
#include "element.h"
#include "sampling.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

// Where that which varies lies, with the strides of rows and columns.
struct SampleRows {
  std::int32_t *history, *draw, *left, *position, *token, *count, *written;
  const std::int32_t* random;
  double *log_probability, *sampled;
  std::int64_t history_row, history_step, random_row, random_step, draw_row, draw_step, left_row,
      position_row, token_row, count_row, written_row, written_step, places;
};

// Scores of a row under the repetition penalty: each token that the row has seen once, however
// often. The quotient is a product and one step of correction (Markstein, 1990): the compiler calls
// a function for a division, which takes registers.
template <class T>
struct Penalise {
  static constexpr int threads = 256;

  const T* logits;
  std::int64_t logits_row, logits_step;
  int vocabulary;
  double penalty, inverse;
  SampleRows rows;
  double* scores;  // [B, V]

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.x();
    if (rows.left[b * rows.left_row] <= 0) return;
    double* const mine = scores + b * vocabulary;
    const T* const from = logits + b * logits_row;
    for (int i = block.thread(); i < vocabulary; i += threads) {
      mine[i] = static_cast<double>(to_float(from[i * logits_step]));
    }
    block.barrier();
    // Several threads may write the same number to a place: it comes from the logit.
    const std::int64_t count = rows.position[b * rows.position_row] + 1;
    for (std::int64_t i = block.thread(); i < count; i += threads) {
      const std::int32_t token = rows.history[b * rows.history_row + i * rows.history_step];
      if (token < 0 || token >= vocabulary) continue;
      const auto value = static_cast<double>(to_float(from[token * logits_step]));
      const double share = value * inverse;
      mine[token] = value > 0 ? fma(fma(-share, penalty, value), inverse, share) : value * penalty;
    }
  }
};

template <class T>
struct Sample {
  static constexpr int threads = 256;
  static constexpr int warps = threads / warp_size;

  const T* logits;
  std::int64_t logits_row, logits_step;
  int vocabulary;
  Sampling how;
  double inverse_temperature;
  std::int32_t end;
  std::uint64_t next_draw;
  SampleRows rows;
  const double* scores;  // [B, V] under the penalty, or none: the logits

  struct Shared {
    double values[warps];
    Largest largest[warps];
    Weighed weighed[warps];
    double segments[threads];
    int chosen;
  };

  struct Row {
    const T* logits;
    std::int64_t step;
    const double* scores;

    LATHE_DEVICE double logit(int i) const {
      return static_cast<double>(to_float(logits[i * step]));
    }
    LATHE_DEVICE double score(int i) const { return scores == nullptr ? logit(i) : scores[i]; }
  };

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.x();
    if (rows.left[b * rows.left_row] <= 0) return;
    const Row row{logits + b * logits_row, logits_step,
                  scores == nullptr ? nullptr : scores + b * vocabulary};
    Shared& shared = *block.shared<Shared>();
    // Among the raw logits for their log-sum-exp, and among the scores.
    const Largest raw = largest(block, shared, [&](int i) { return row.logit(i); });
    const double sum =
        over_all(block, shared, [&](int i) { return exp(row.logit(i) - raw.value); });
    const Largest most =
        scores == nullptr ? raw : largest(block, shared, [&](int i) { return row.score(i); });
    const Drawn drawn = choose(block, shared, row, most, stream(b), number(b));
    if (block.thread() == 0) {
      write(b, drawn, row.logit(drawn.token) - (raw.value + log(sum)));
    }
  }

 private:
  LATHE_DEVICE RandomStream stream(std::int64_t b) const {
    const std::int32_t* words = rows.random + b * rows.random_row;
    RandomStream stream;
    stream.key = {static_cast<std::uint32_t>(words[0]),
                  static_cast<std::uint32_t>(words[rows.random_step])};
    stream.step = two_words(words[2 * rows.random_step], words[3 * rows.random_step]);
    return stream;
  }
  LATHE_DEVICE std::uint64_t number(std::int64_t b) const {
    const std::int32_t* words = rows.draw + b * rows.draw_row;
    return two_words(words[0], words[rows.draw_step]);
  }

  template <class Value>
  LATHE_DEVICE Largest largest(const Block& block, Shared& shared, const Value& value) const {
    Largest mine{-INFINITY, vocabulary};
    for (int i = block.thread(); i < vocabulary; i += threads)
      mine = larger_of(mine, {value(i), i});
    for (int mask = warp_size / 2; mask > 0; mask /= 2) {
      mine = larger_of(mine,
                       {block.shuffle_xor(mine.value, mask), block.shuffle_xor(mine.index, mask)});
    }
    if (block.lane() == 0) shared.largest[block.warp()] = mine;
    block.barrier();
    for (int warp = 0; warp < warps; ++warp) mine = larger_of(mine, shared.largest[warp]);
    block.barrier();
    if (mine.index == vocabulary) mine.index = 0;  // nothing but what is no number
    return mine;
  }

  template <class Value>
  LATHE_DEVICE double over_all(const Block& block, Shared& shared, const Value& value) const {
    double sum = 0;
    for (int i = block.thread(); i < vocabulary; i += threads) sum += value(i);
    return over_block(block, sum, 0.0, shared.values, Plus{});
  }

  LATHE_DEVICE Drawn choose(const Block& block, Shared& shared, const Row& row, const Largest& most,
                            const RandomStream& random, std::uint64_t index) const {
    const bool ties = how.temperature == 0 && how.draws_ties;
    if (how.temperature == 0 && !ties) return {most.index, 1.0};
    const auto weight = [&](int i) {
      if (ties) return row.score(i) == most.value ? 1.0 : 0.0;
      return exp((row.score(i) - most.value) * inverse_temperature);
    };
    const double uniform = random.uniform53(index);
    if (!ties && !how.is_plain()) return choose_among_kept(block, shared, row, weight, uniform);
    double all = 0;
    int token = in_order_of_ids(
        block, shared, weight, [&](double sum) { return uniform * sum; }, all);
    if (!ties) return {token, weight(token) / all};
    if (how.epsilon > 0 && random.uniform53(index + 1) < how.epsilon) {
      token = static_cast<int>(uniform * vocabulary);
    }
    return {token, how.epsilon / vocabulary + weight(token) * (1 - how.epsilon) / all};
  }

  // The first token, in the order of the ids, at which the sum of weights passes rest(sum of all).
  // A warp sums a segment of ids at a time; then one goes through the segments, and through one.
  template <class Weight, class Rest>
  LATHE_DEVICE int in_order_of_ids(const Block& block, Shared& shared, const Weight& weight,
                                   const Rest& rest_of, double& all) const {
    const int length = segment_length(vocabulary, threads);
    const int segments = (vocabulary + length - 1) / length;
    const auto stop_of = [&](int segment) {
      return (segment + 1) * length < vocabulary ? (segment + 1) * length : vocabulary;
    };
    for (int segment = block.warp(); segment < segments; segment += warps) {
      double sum = 0;
      for (int i = segment * length + block.lane(); i < stop_of(segment); i += warp_size) {
        sum += weight(i);
      }
      sum = over_warp(block, sum, Plus{});
      if (block.lane() == 0) shared.segments[segment] = sum;
    }
    block.barrier();
    all = 0;
    for (int segment = 0; segment < segments; ++segment) all += shared.segments[segment];
    if (block.thread() == 0) {
      double rest = rest_of(all);
      const int segment = passes(segments, rest, [&](int i) { return shared.segments[i]; });
      const int begin = segment * length;
      shared.chosen =
          begin + passes(stop_of(segment) - begin, rest, [&](int i) { return weight(begin + i); });
    }
    block.barrier();
    const int chosen = shared.chosen;
    block.barrier();
    return chosen;
  }

  // The count and the weight of the kept tokens from a score on.
  template <class Weight>
  LATHE_DEVICE Weighed from(const Block& block, Shared& shared, const Row& row,
                            const Weight& weight, const Kept& kept, std::uint64_t low) const {
    Weighed mine{0, 0.0};
    for (int i = block.thread(); i < vocabulary; i += threads) {
      const std::uint64_t key = ordered(row.score(i));
      if (key < low || !kept.has(key, i)) continue;
      const double w = weight(i);
      if (w < kept.least) continue;
      mine = {mine.count + 1, mine.mass + w};
    }
    mine.mass = over_warp(block, mine.mass, Plus{});
    mine.count = over_warp(block, mine.count, Plus{});
    if (block.lane() == 0) shared.weighed[block.warp()] = mine;
    block.barrier();
    mine = shared.weighed[0];
    for (int warp = 1; warp < warps; ++warp) {
      mine.count += shared.weighed[warp].count;
      mine.mass += shared.weighed[warp].mass;
    }
    block.barrier();
    return mine;
  }

  // The shortest beginning of what is kept, all of which is `at_low`, with so many tokens or so
  // much weight.
  template <class Weight>
  LATHE_DEVICE Kept shortest(const Block& block, Shared& shared, const Row& row,
                             const Weight& weight, const Kept& kept, Weighed at_low,
                             const Weighed& target) const {
    const auto enough = [&](const Weighed& of) {
      return of.count >= target.count || of.mass >= target.mass;
    };
    std::uint64_t low = kept.key, high = ~std::uint64_t{0};  // enough from low on, not from high
    Weighed at_high{0, 0.0};
    while (high - low > 1 && at_low.count - at_high.count > 1) {
      const std::uint64_t middle = low + (high - low) / 2;
      const Weighed here = from(block, shared, row, weight, kept, middle);
      if (enough(here)) {
        low = middle;
        at_low = here;
      } else {
        high = middle;
        at_high = here;
      }
    }
    // What is left has one score. Of equals, in the order of the ids, as many as are needed.
    const auto is_last = [&](int i) {
      const std::uint64_t key = ordered(row.score(i));
      return key >= low && key < high && kept.has(key, i) && weight(i) >= kept.least ? 1.0 : 0.0;
    };
    int last = 0;
    for (int needed = 1, found = 0; found != needed;) {
      found = needed;
      double equals = 0;
      last = in_order_of_ids(
          block, shared, is_last, [&](double) { return found - 0.5; }, equals);
      const double each = weight(last);
      while (needed < equals && !enough({at_high.count + needed, at_high.mass + needed * each})) {
        ++needed;
      }
    }
    return {ordered(row.score(last)), last, kept.least};
  }

  // Three times the end of what stays: after top-k, after top-p, and, of what min-p leaves, at the
  // draw.
  template <class Weight>
  LATHE_DEVICE Drawn choose_among_kept(const Block& block, Shared& shared, const Row& row,
                                       const Weight& weight, double uniform) const {
    Kept kept{0, vocabulary, 0.0};
    double all = 0;
    for (int stage = how.top_k > 0 && how.top_k < vocabulary ? 0 : 1; stage < 3; ++stage) {
      if (stage == 1 && how.top_p >= 1) continue;
      if (stage == 2) kept.least = how.min_p;  // the likeliest has the weight 1
      const Weighed whole = from(block, shared, row, weight, kept, kept.key);
      all = whole.mass;
      Weighed target{INT32_MAX, INFINITY};
      if (stage == 0) target.count = static_cast<int>(how.top_k);
      if (stage == 1) target.mass = how.top_p * all;
      if (stage == 2) target.mass = fmin(next_above(uniform * all), all);
      kept = shortest(block, shared, row, weight, kept, whole, target);
    }
    return {kept.id, weight(kept.id) / all};
  }

  LATHE_DEVICE void write(std::int64_t b, const Drawn& drawn, double log_probability) const {
    std::int32_t* const numbers = rows.draw + b * rows.draw_row;
    const std::uint64_t next = number(b) + next_draw;
    numbers[0] = static_cast<std::int32_t>(static_cast<std::uint32_t>(next));
    numbers[rows.draw_step] = static_cast<std::int32_t>(static_cast<std::uint32_t>(next >> 32));
    const std::int32_t place = rows.count[b * rows.count_row]++;
    rows.written[b * rows.written_row + place * rows.written_step] = drawn.token;
    rows.log_probability[b * rows.places + place] = log_probability;
    rows.sampled[b * rows.places + place] = log(drawn.probability);
    std::int32_t& left = rows.left[b * rows.left_row];
    left = drawn.token == end ? 0 : left - 1;
    if (left <= 0) return;
    rows.token[b * rows.token_row] = drawn.token;
    const std::int32_t position = ++rows.position[b * rows.position_row];
    if (rows.history != nullptr) {
      rows.history[b * rows.history_row + position * rows.history_step] = drawn.token;
    }
  }
};
}  // namespace

void CudaBackend::sample(const SampleArguments& a) {
  const Range range("sample");
  const std::int64_t B = a.logits.shape[0], V = a.logits.shape[1];
  if (V == 0) fail("sampling from no logits");
  const bool penalises = a.how.repetition_penalty != 1 && !a.how.draws_ties && a.history;
  const Space scores(*this, penalises ? static_cast<std::size_t>(B * V) * sizeof(double) : 0);
  const auto ints = [](const View& view) { return view ? view.as<std::int32_t>() : nullptr; };
  const SampleRows rows{.history = ints(a.history),
                        .draw = ints(a.draw),
                        .left = ints(a.left),
                        .position = ints(a.position),
                        .token = ints(a.token),
                        .count = ints(a.count),
                        .written = ints(a.written),
                        .random = ints(a.random),
                        .log_probability = a.log_probability.as<double>(),
                        .sampled = a.sampled_log_probability.as<double>(),
                        .history_row = a.history ? a.history.stride(0) : 0,
                        .history_step = a.history ? a.history.stride(1) : 0,
                        .random_row = a.random.stride(0),
                        .random_step = a.random.stride(1),
                        .draw_row = a.draw.stride(0),
                        .draw_step = a.draw.stride(1),
                        .left_row = a.left.stride(0),
                        .position_row = a.position.stride(0),
                        .token_row = a.token.stride(0),
                        .count_row = a.count.stride(0),
                        .written_row = a.written.stride(0),
                        .written_step = a.written.stride(1),
                        .places = a.written.shape[1]};
  with_floating(a.logits.dtype, [&]<class T>(std::type_identity<T>) {
    if (penalises) {
      launch({B}, 0, stream_,
             Penalise<T>{.logits = a.logits.as<T>(),
                         .logits_row = a.logits.stride(0),
                         .logits_step = a.logits.stride(1),
                         .vocabulary = static_cast<int>(V),
                         .penalty = a.how.repetition_penalty,
                         .inverse = 1 / a.how.repetition_penalty,
                         .rows = rows,
                         .scores = scores.as<double>()});
    }
    launch({B}, sizeof(typename Sample<T>::Shared), stream_,
           Sample<T>{.logits = a.logits.as<T>(),
                     .logits_row = a.logits.stride(0),
                     .logits_step = a.logits.stride(1),
                     .vocabulary = static_cast<int>(V),
                     .how = a.how,
                     .inverse_temperature = a.how.temperature == 0 ? 0 : 1 / a.how.temperature,
                     .end = a.end,
                     .next_draw = static_cast<std::uint64_t>(a.draw_step),
                     .rows = rows,
                     .scores = penalises ? scores.as<double>() : nullptr});
  });
}

}  // namespace lathe
