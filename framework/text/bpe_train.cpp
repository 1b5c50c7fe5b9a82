#include <lathe/base/error.h>
#include <lathe/text/bpe_train.h>
#include <lathe/text/byte_alphabet.h>

#include <algorithm>
#include <array>
#include <queue>
#include <string>
#include <unordered_map>

namespace lathe {

namespace {

using Pair = std::uint64_t;

Pair pair_of(std::int32_t left, std::int32_t right) {
  return (static_cast<Pair>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}
std::int32_t left_of(Pair pair) { return static_cast<std::int32_t>(pair >> 32); }
std::int32_t right_of(Pair pair) { return static_cast<std::int32_t>(pair & 0xFFFFFFFFu); }

struct PairHash {
  std::size_t operator()(Pair pair) const {
    return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 16);
  }
};

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count = 0;
};

struct PairState {
  std::int64_t count = 0;
  std::vector<std::uint32_t> words;  // where it may stand; the newest last, without repeats there
};

struct Candidate {
  std::int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  Trainer(std::vector<std::string> tokens, std::vector<Word> words);

  // The next merge and its result's id, until there is none or the vocabulary is full.
  void run(std::size_t size, std::int64_t min_count);

  std::vector<std::string> tokens;
  std::vector<Merge> merges;

 private:
  void apply(const Merge& merge, std::uint32_t word);
  void change(Pair pair, std::int64_t by, std::uint32_t word);
  std::int32_t id_of(const std::string& token);

  std::vector<Word> words_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_map<Pair, PairState, PairHash> pairs_;
  std::vector<Pair> grown_;  // pairs that the present merge has made or met more often
  std::priority_queue<Candidate> queue_;
};

Trainer::Trainer(std::vector<std::string> given_tokens, std::vector<Word> words)
    : tokens(std::move(given_tokens)), words_(std::move(words)) {
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    ids_.emplace(tokens[id], static_cast<std::int32_t>(id));
  }
  for (std::uint32_t w = 0; w < words_.size(); ++w) {
    const Word& word = words_[w];
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
      change(pair_of(word.ids[i], word.ids[i + 1]), word.count, w);
    }
  }
  grown_.clear();
  for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
}

void Trainer::change(Pair pair, std::int64_t by, std::uint32_t word) {
  PairState& state = pairs_[pair];
  state.count += by;
  if (by < 0) return;
  if (state.words.empty() || state.words.back() != word) state.words.push_back(word);
  grown_.push_back(pair);
}

std::int32_t Trainer::id_of(const std::string& token) {
  const auto [place, is_new] = ids_.emplace(token, static_cast<std::int32_t>(tokens.size()));
  if (is_new) tokens.push_back(token);
  return place->second;
}

void Trainer::run(std::size_t size, std::int64_t min_count) {
  while (tokens.size() < size && !queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    PairState& state = pairs_[best.pair];
    if (state.count != best.count) {  // an old offer: back with what it is now
      if (state.count > 0) queue_.push({state.count, best.pair});
      continue;
    }
    if (best.count < min_count) break;
    Merge merge{left_of(best.pair), right_of(best.pair), 0};
    merge.result = id_of(tokens[static_cast<std::size_t>(merge.left)] +
                         tokens[static_cast<std::size_t>(merge.right)]);
    merges.push_back(merge);
    std::vector<std::uint32_t> places = std::move(state.words);
    state.words.clear();
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    grown_.clear();
    for (const std::uint32_t word : places) apply(merge, word);
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair pair : grown_) {
      const std::int64_t count = pairs_[pair].count;
      if (count > 0) queue_.push({count, pair});
    }
  }
}

// Merges the pair wherever it stands in the word, left to right, and keeps the counts of its
// neighbours. The count of the pair itself is left alone, as Hugging Face's trainer leaves it: it
// matters only in the rare case that another merge spells a token that exists already.
void Trainer::apply(const Merge& merge, std::uint32_t index) {
  Word& word = words_[index];
  std::vector<std::int32_t>& ids = word.ids;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != merge.left || i + 1 == ids.size() || ids[i + 1] != merge.right) {
      ids[kept++] = ids[i];
      continue;
    }
    if (kept > 0) {
      change(pair_of(ids[kept - 1], merge.left), -word.count, index);
      change(pair_of(ids[kept - 1], merge.result), word.count, index);
    }
    if (i + 2 < ids.size()) {
      change(pair_of(merge.right, ids[i + 2]), -word.count, index);
      change(pair_of(merge.result, ids[i + 2]), word.count, index);
    }
    ids[kept++] = merge.result;
    ++i;
  }
  ids.resize(kept);
}

std::unordered_map<std::string_view, std::int64_t> count_words(
    std::span<const std::string_view> documents) {
  const Splitter splitter(BpeParts().rules);
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (const std::string_view document : documents) {
    require_utf8(document);
    splitter.for_each_word(document, [&](std::string_view word) { ++counts[word]; });
  }
  return counts;
}

}  // namespace

BpeTokenizer train_bpe(std::span<const std::string_view> documents, std::int64_t size,
                       const BpeTrainOptions& options) {
  const std::size_t specials = options.special_tokens.size();
  const auto smallest = static_cast<std::int64_t>(specials + 256);
  if (size < smallest) {
    fail("a byte-level BPE of ", size, " entries is too small: the 256 bytes and ", specials,
         " special tokens alone are ", smallest);
  }
  std::vector<std::string> tokens = options.special_tokens;
  std::array<unsigned char, 256> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i);
  std::sort(bytes.begin(), bytes.end(), [](unsigned char left, unsigned char right) {
    return byte_to_character(left) < byte_to_character(right);
  });
  std::array<std::int32_t, 256> byte_ids{};
  for (const unsigned char byte : bytes) {
    byte_ids[byte] = static_cast<std::int32_t>(tokens.size());
    tokens.emplace_back(1, static_cast<char>(byte));
  }
  std::vector<Word> words;
  for (const auto& [text, count] : count_words(documents)) {
    Word word{{}, count};
    for (const char byte : text) word.ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    if (word.ids.size() > 1) words.push_back(std::move(word));
  }
  Trainer trainer(std::move(tokens), std::move(words));
  trainer.run(static_cast<std::size_t>(size), options.min_count);

  BpeParts parts;
  parts.tokens = std::move(trainer.tokens);
  parts.merges = std::move(trainer.merges);
  for (std::size_t i = 0; i < specials; ++i) {
    const auto id = static_cast<std::int32_t>(i);
    parts.added.push_back({.id = id, .content = options.special_tokens[i]});
    if (options.special_tokens[i] == "<|endoftext|>") parts.end = id;
    if (options.special_tokens[i] == "<|pad|>") parts.pad = id;
  }
  return BpeTokenizer(std::move(parts));
}

}  // namespace lathe
