#include <lathe/base/error.h>
#include <lathe/text/bpe.h>
#include <lathe/text/bpe_train.h>
#include <lathe/text/tokenizer_json.h>
#include <lathe/text/word_cache.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <unordered_map>

namespace lathe {

namespace {

// Ids that grow without a check for each one: `need` says how many may follow.
class Ids {
 public:
  explicit Ids(std::size_t expected) : ids_(expected + 16) {}

  std::int32_t* need(std::size_t count) {
    if (used_ + count > ids_.size()) ids_.resize(std::max(ids_.size() * 2, used_ + count));
    return ids_.data() + used_;
  }
  void used(std::size_t count) { used_ += count; }
  void add(std::int32_t id) {
    *need(1) = id;
    used(1);
  }
  std::vector<std::int32_t> take() {
    ids_.resize(used_);
    return std::move(ids_);
  }

 private:
  std::vector<std::int32_t> ids_;
  std::size_t used_ = 0;
};

// Caches at rest; a thread takes one for as long as it encodes.
class CachePool {
 public:
  class Lease {
   public:
    explicit Lease(CachePool& pool) : pool_(pool), cache_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(cache_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WordCache& operator*() const { return *cache_; }

   private:
    CachePool& pool_;
    std::unique_ptr<WordCache> cache_;
  };

 private:
  std::unique_ptr<WordCache> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<WordCache>();
    auto cache = std::move(idle_.back());
    idle_.pop_back();
    return cache;
  }
  void give_back(std::unique_ptr<WordCache> cache) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(cache));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> idle_;
};

// Texts of this many bytes are worth a thread of their own.
constexpr std::size_t chunk_size = std::size_t{1} << 16;

}  // namespace

struct BpeTokenizer::Model {
  explicit Model(BpeParts given);

  void encode_plain(std::string_view text, bool at_begin, WordCache& cache, Ids& ids) const;
  void encode_words(std::string_view text, WordCache& cache, Ids& ids) const;
  void encode_word(std::string_view word, std::size_t readable, WordCache& cache, Ids& ids) const;
  std::size_t merge_word(std::string_view word, std::span<std::int32_t> into) const;

  BpeParts parts;
  Splitter splitter;
  MergeTable merges;
  AddedTokens added;
  std::array<std::int32_t, 256> byte_ids;
  std::unordered_map<std::string_view, std::int32_t> words;  // only with ignore_merges
  mutable CachePool caches;
};

BpeTokenizer::Model::Model(BpeParts given)
    : parts(std::move(given)), splitter(parts.rules), merges(parts.merges), added(parts.added) {
  byte_ids.fill(-1);
  std::vector<bool> is_added(parts.tokens.size(), false);
  for (const AddedToken& token : parts.added) {
    is_added[static_cast<std::size_t>(token.id)] = true;
  }
  for (std::size_t id = 0; id < parts.tokens.size(); ++id) {
    const std::string& token = parts.tokens[id];
    if (is_added[id] || token.empty()) continue;
    if (token.size() == 1) {
      byte_ids[static_cast<unsigned char>(token[0])] = static_cast<std::int32_t>(id);
    }
    if (parts.ignore_merges) words.emplace(token, static_cast<std::int32_t>(id));
  }
}

std::size_t BpeTokenizer::Model::merge_word(std::string_view word,
                                            std::span<std::int32_t> into) const {
  if (parts.ignore_merges) {
    const auto found = words.find(word);
    if (found != words.end()) {
      into[0] = found->second;
      return 1;
    }
  }
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    into[i] = byte_ids[byte];
    if (into[i] < 0) {
      fail("the tokenizer has no token for byte ", static_cast<int>(byte), ", which stands in '",
           word, "': it was trained without all 256 bytes");
    }
  }
  return merges.merge(into.first(word.size()));
}

void BpeTokenizer::Model::encode_word(std::string_view word, std::size_t readable, WordCache& cache,
                                      Ids& ids) const {
  if (word.size() > WordCache::longest) {
    ids.used(merge_word(word, {ids.need(word.size()), word.size()}));
    return;
  }
  std::int32_t* out = ids.need(WordCache::longest);
  const WordCache::Key key = WordCache::key_of(word, readable);
  if (const WordCache::Entry* entry = cache.find(key)) {
    if (entry->count <= entry->ids.size()) {
      std::copy_n(entry->ids.data(), entry->ids.size(), out);
    } else {
      std::copy_n(cache.overflow(*entry), entry->count, out);
    }
    ids.used(entry->count);
    return;
  }
  const std::size_t count = merge_word(word, {out, word.size()});
  cache.keep(key, {out, count});
  ids.used(count);
}

void BpeTokenizer::Model::encode_words(std::string_view text, WordCache& cache, Ids& ids) const {
  const char* end = text.data() + text.size();
  splitter.for_each_word(text, [&](std::string_view word) {
    encode_word(word, static_cast<std::size_t>(end - word.data()), cache, ids);
  });
}

void BpeTokenizer::Model::encode_plain(std::string_view text, bool at_begin, WordCache& cache,
                                       Ids& ids) const {
  if (at_begin && parts.add_prefix_space && !text.starts_with(' ')) {
    encode_words(" " + std::string(text), cache, ids);
  } else {
    encode_words(text, cache, ids);
  }
}

BpeTokenizer::BpeTokenizer(BpeParts parts) : model_(std::make_unique<Model>(std::move(parts))) {}
BpeTokenizer::BpeTokenizer(BpeTokenizer&&) noexcept = default;
BpeTokenizer& BpeTokenizer::operator=(BpeTokenizer&&) noexcept = default;
BpeTokenizer::~BpeTokenizer() = default;

namespace {
void add_mask(BpeParts& parts) {
  if (parts.mask >= 0) return;
  parts.mask = static_cast<std::int32_t>(parts.tokens.size());
  parts.tokens.emplace_back("<|mask|>");
  parts.added.push_back({.id = parts.mask, .content = parts.tokens.back()});
}
}  // namespace

BpeTokenizer::BpeTokenizer(const Config& config) {
  const Options with(config);
  if (with.train == !with.file.empty()) {
    fail(config.where(),
         ": a bpe tokenizer needs either `file` (a vocabulary to read) or `train = ",
         "true` (one to learn)", with.train ? ", and has both" : ", and has neither");
  }
  if (with.train) {
    trained_size_ = with.size;
    trained_min_count_ = with.min_count;
    adds_mask_ = with.mask;
  } else {
    BpeParts parts = read_bpe(with.file);
    if (with.mask) add_mask(parts);
    model_ = std::make_unique<Model>(std::move(parts));
  }
}

const BpeTokenizer::Model& BpeTokenizer::model() const {
  if (!model_) fail("this bpe tokenizer has no vocabulary yet: it must be trained first");
  return *model_;
}

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text, Special special) const {
  const Model& with = model();
  require_utf8(text);
  const CachePool::Lease cache(with.caches);
  Ids ids(text.size() / 3);
  for (const AddedTokens::Part& part : with.added.cut(text, special == Special::as_id)) {
    if (part.id >= 0) {
      ids.add(part.id);
    } else {
      with.encode_plain(part.text, true, *cache, ids);
    }
  }
  return ids.take();
}

std::vector<std::int32_t> BpeTokenizer::encode_parallel(std::string_view text,
                                                        Special special) const {
  const Model& with = model();
  if (!with.splitter.is_gpt2() || text.size() < 2 * chunk_size) return encode(text, special);
  require_utf8(text);
  struct Task {
    std::string_view text;
    std::int32_t id;
    bool at_begin;
    std::vector<std::int32_t> ids;
  };
  std::vector<Task> tasks;
  for (const AddedTokens::Part& part : with.added.cut(text, special == Special::as_id)) {
    std::size_t done = 0;
    const Gpt2Scanner scanner(part.text);
    for (std::size_t at = chunk_size; part.id < 0 && at < part.text.size(); ++at) {
      if (!scanner.is_safe_boundary(at)) continue;
      tasks.push_back({part.text.substr(done, at - done), -1, done == 0, {}});
      done = at;
      at += chunk_size;
    }
    tasks.push_back({part.text.substr(done), part.id, done == 0, {}});
  }
  std::exception_ptr error;
  const auto count = static_cast<std::int64_t>(tasks.size());
#pragma omp parallel
  {
    const CachePool::Lease cache(with.caches);
#pragma omp for schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) {
      Task& task = tasks[static_cast<std::size_t>(i)];
      try {
        Ids ids(task.text.size() / 3);
        if (task.id >= 0) {
          ids.add(task.id);
        } else {
          with.encode_plain(task.text, task.at_begin, *cache, ids);
        }
        task.ids = ids.take();
      } catch (...) {
#pragma omp critical(lathe_encode_parallel)
        error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
  std::vector<std::int32_t> all;
  std::size_t total = 0;
  for (const Task& task : tasks) total += task.ids.size();
  all.reserve(total);
  for (const Task& task : tasks) all.insert(all.end(), task.ids.begin(), task.ids.end());
  return all;
}

std::string_view BpeTokenizer::token(std::int32_t id) const {
  const auto& tokens = model().parts.tokens;
  if (id < 0 || static_cast<std::size_t>(id) >= tokens.size()) {
    fail("token id ", id, " is outside the vocabulary of ", tokens.size(), " entries");
  }
  const std::string& token = tokens[static_cast<std::size_t>(id)];
  if (token.empty()) fail("token id ", id, " is a hole in the vocabulary");
  return token;
}

std::int64_t BpeTokenizer::size() const {
  return static_cast<std::int64_t>(model().parts.tokens.size());
}
std::int32_t BpeTokenizer::end_id() const { return model().parts.end; }
std::int32_t BpeTokenizer::pad_id() const { return model().parts.pad; }
std::int32_t BpeTokenizer::begin_id() const { return model().parts.begin; }
std::int32_t BpeTokenizer::mask_id() const { return model().parts.mask; }

bool BpeTokenizer::is_special(std::int32_t id) const {
  const auto& tokens = model().parts.tokens;
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index >= tokens.size() || tokens[index].empty()) return true;
  const std::vector<AddedToken>& added = model().added.tokens();
  return std::any_of(added.begin(), added.end(),
                     [&](const AddedToken& token) { return token.id == id && token.special; });
}

std::int32_t BpeTokenizer::special_id(std::string_view literal) const {
  const AddedToken* token = model().added.find(literal);
  return token == nullptr ? -1 : token->id;
}

bool BpeTokenizer::needs_training() const { return model_ == nullptr; }

void BpeTokenizer::train(std::span<const std::string_view> documents) {
  if (model_) fail("this bpe tokenizer has its vocabulary already: it cannot be trained again");
  BpeTrainOptions with;
  with.min_count = trained_min_count_;
  model_ = std::move(train_bpe(documents, trained_size_, with).model_);
  if (!adds_mask_) return;
  BpeParts parts = model_->parts;
  add_mask(parts);
  model_ = std::make_unique<Model>(std::move(parts));
}

void BpeTokenizer::save(const std::filesystem::path& folder) const {
  write_bpe(model().parts, folder);
}

const BpeParts& BpeTokenizer::parts() const { return model().parts; }

}  // namespace lathe
