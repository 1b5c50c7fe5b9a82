#include <lathe/learn/generation.h>

#include <algorithm>
#include <memory>

namespace lathe {

std::string_view name_of(Completion::Reason reason) {
  switch (reason) {
    case Completion::Reason::length:
      return "length";
    case Completion::Reason::end:
      return "end";
    case Completion::Reason::stop:
      return "stop";
    case Completion::Reason::context:
      return "context";
  }
  return "?";
}

// One sequence that is being written.
struct Generator::Row {
  std::vector<std::int32_t> context;  // tokens that the model sees, the newest last
  std::int32_t cached = 0;            // how many of them are in the cache
  Completion completion;
  std::string bytes;      // decoded so far
  std::size_t shown = 0;  // of them, given to the listener
  std::unique_ptr<StreamDecoder> decoder;
  bool done = false;
};

Generator::Generator(const Model& model, const Parameters& parameters, const Tokenizer& tokenizer)
    : model_(model), parameters_(parameters), tokenizer_(tokenizer) {}

namespace {
// Rows of a cache as a cache of their own.
KeyValueCache rows_of(const KeyValueCache& cache, std::int64_t begin, std::int64_t end) {
  const auto window = [&](const Tensor& all) {
    return Tensor(all.storage(), sliced(all.view(), 0, begin, end));
  };
  KeyValueCache part;
  for (const LayerCache& layer : cache.layers) {
    part.layers.push_back({window(layer.keys), window(layer.values)});
  }
  return part;
}
}  // namespace

std::vector<float> Generator::forward(const std::vector<std::int32_t>& tokens, std::int64_t rows,
                                      const std::vector<std::int32_t>& lengths,
                                      KeyValueCache& cache) const {
  const NoGradient silent;
  const auto& backend = parameters_.backend();
  const auto count = static_cast<std::int64_t>(tokens.size());
  const std::int64_t length = count / rows;
  std::vector<std::int32_t> positions(tokens.size());
  for (std::int64_t n = 0; n < count; ++n) {
    positions[static_cast<std::size_t>(n)] =
        lengths[static_cast<std::size_t>(n / length)] + static_cast<std::int32_t>(n % length);
  }
  cache.lengths = Tensor::of<std::int32_t>(backend, {rows}, lengths);
  ModelInput input;
  input.tokens = Tensor::of<std::int32_t>(backend, {count}, tokens);
  input.places.rows = rows;
  input.places.length = length;
  input.places.positions = Tensor::of<std::int32_t>(backend, {count}, positions);
  input.places.cache = &cache;
  const Tensor hidden = model_.hidden(input);
  const Tensor by_row = hidden.reshape({rows, length, hidden.size(1)});
  const Tensor last = contiguous(slice(by_row, 1, length - 1, length));
  return model_.logits(last.reshape({rows, hidden.size(1)})).floats();
}

std::vector<float> Generator::prefill(const Row& row, std::int64_t number,
                                      KeyValueCache& cache) const {
  KeyValueCache own = rows_of(cache, number, number + 1);
  return forward(row.context, 1, {0}, own);
}

// Before a token is appended: false when the context is full and the row must stop.
bool Generator::make_room(Row& row, std::int64_t number, KeyValueCache& cache,
                          const GenerationOptions& options) const {
  const std::int64_t capacity =
      cache.layers.empty() ? model_.context() : cache.layers[0].keys.size(1);
  if (row.cached < capacity) return true;
  if (options.overflow == "stop") return false;
  const auto keep = static_cast<std::ptrdiff_t>(std::max<std::int64_t>(capacity / 2, 1));
  row.context.erase(row.context.begin(), row.context.end() - keep);
  if (row.context.size() > 1) {
    KeyValueCache own = rows_of(cache, number, number + 1);
    const std::vector<std::int32_t> before(row.context.begin(), row.context.end() - 1);
    forward(before, 1, {0}, own);
  }
  row.cached = static_cast<std::int32_t>(row.context.size()) - 1;
  return true;
}

namespace {
// Where the earliest stop text begins, or npos.
std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) {
    if (!stop.empty()) first = std::min(first, text.find(stop));
  }
  return first;
}

// How many bytes at the end could be the beginning of a stop text, and must not be shown yet.
std::size_t held_back(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t most = 0;
  for (const std::string& stop : stops) {
    for (std::size_t size = std::min(stop.size(), text.size()); size > most; --size) {
      if (text.compare(text.size() - size, size, stop, 0, size) == 0) most = size;
    }
  }
  return most;
}
}  // namespace

void Generator::accept(Row& row, std::span<const float> logits, const GenerationOptions& options,
                       const RandomStream& random, const Listener& stream,
                       std::size_t number) const {
  Completion& completion = row.completion;
  const Choice choice = choose(logits, row.context, options, random, completion.tokens.size());
  completion.tokens.push_back(choice.token);
  completion.log_probabilities.push_back(choice.log_probability);
  completion.sampled_log_probabilities.push_back(choice.sampled_log_probability);
  row.context.push_back(choice.token);
  const bool ended = options.stop_at_end && choice.token == tokenizer_.end_id();
  if (!ended) row.bytes += row.decoder->push(choice.token);
  if (ended) {
    completion.reason = Completion::Reason::end;
    row.done = true;
  } else if (static_cast<std::int64_t>(completion.tokens.size()) >= options.tokens) {
    row.done = true;
  }
  if (row.done) row.bytes += row.decoder->flush();
  const std::size_t stop = find_stop(row.bytes, options.stop);
  if (stop != std::string::npos) {
    row.bytes.resize(stop);
    completion.reason = Completion::Reason::stop;
    row.done = true;
  }
  const std::size_t safe = row.bytes.size() - (row.done ? 0 : held_back(row.bytes, options.stop));
  if (stream && safe > row.shown) {
    stream(number, std::string_view(row.bytes).substr(row.shown, safe - row.shown));
  }
  row.shown = std::max(row.shown, safe);
}

std::vector<Completion> Generator::complete(const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerationOptions& options, std::uint64_t seed,
                                            const Listener& stream) const {
  const auto count = static_cast<std::int64_t>(prompts.size());
  if (count == 0 || options.tokens == 0) return std::vector<Completion>(prompts.size());
  std::int64_t longest = 0;
  for (const auto& prompt : prompts) {
    if (prompt.empty()) fail("a prompt has no tokens: begin with at least one character");
    longest = std::max(longest, static_cast<std::int64_t>(prompt.size()));
  }
  const std::int64_t capacity = std::min(model_.context(), longest + options.tokens);
  const Precision precision = parameters_.precision();
  KeyValueCache cache =
      model_.make_cache(parameters_.backend(), activation_type(precision), count, capacity);
  const auto vocabulary = static_cast<std::size_t>(model_.head().shape[0]);

  std::vector<Row> rows(prompts.size());
  std::vector<RandomStream> random;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Row& row = rows[i];
    random.emplace_back(seed, "generate", i);
    row.decoder = std::make_unique<StreamDecoder>(tokenizer_);
    row.context = prompts[i];
    if (static_cast<std::int64_t>(row.context.size()) > capacity) {
      if (options.overflow == "stop") {
        fail("a prompt of ", row.context.size(), " tokens is longer than the context of ", capacity,
             "; shorten it, or set overflow = \"slide\"");
      }
      row.context.erase(row.context.begin(), row.context.end() - capacity);
    }
    const std::vector<float> logits = prefill(row, static_cast<std::int64_t>(i), cache);
    row.cached = static_cast<std::int32_t>(row.context.size());
    accept(row, logits, options, random[i], stream, i);
  }

  const auto working = [](const Row& row) { return !row.done; };
  while (std::any_of(rows.begin(), rows.end(), working)) {
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> lengths;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Row& row = rows[i];
      if (!row.done && !make_room(row, static_cast<std::int64_t>(i), cache, options)) {
        row.completion.reason = Completion::Reason::context;
        row.bytes += row.decoder->flush();
        row.done = true;
      }
      // A finished row is kept company at place 0; what it computes is not looked at.
      tokens.push_back(row.done ? 0 : row.context.back());
      lengths.push_back(row.done ? 0 : row.cached);
    }
    const std::vector<float> logits = forward(tokens, count, lengths, cache);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].done) continue;
      ++rows[i].cached;
      accept(rows[i], std::span(logits).subspan(i * vocabulary, vocabulary), options, random[i],
             stream, i);
    }
  }
  std::vector<Completion> completions;
  for (Row& row : rows) {
    row.completion.text = std::move(row.bytes);
    completions.push_back(std::move(row.completion));
  }
  return completions;
}

std::vector<float> Generator::next_logits(const std::vector<std::int32_t>& tokens) const {
  const auto length = static_cast<std::int64_t>(tokens.size());
  KeyValueCache cache =
      model_.make_cache(parameters_.backend(), activation_type(parameters_.precision()), 1, length);
  return forward(tokens, 1, {0}, cache);
}

}  // namespace lathe
