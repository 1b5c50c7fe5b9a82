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
  Completion completion;
  std::string bytes;      // decoded so far
  std::size_t shown = 0;  // of them, given to the listener
  std::unique_ptr<StreamDecoder> decoder;
  bool done = false;
};

Generator::Generator(const Model& model, const Parameters& parameters, const Tokenizer& tokenizer)
    : model_(model), parameters_(parameters), tokenizer_(tokenizer) {}

// Before a token is appended: false when the context is full and the row must stop.
bool Generator::make_room(Row& row, std::int64_t number, Decoder& decoder,
                          const GenerationOptions& options) const {
  if (decoder.length(number) < decoder.capacity()) return true;
  if (options.overflow == "stop") return false;
  const std::int64_t half = std::max<std::int64_t>(decoder.capacity() / 2, 1);
  row.context.erase(row.context.begin(), row.context.end() - static_cast<std::ptrdiff_t>(half));
  decoder.fill(number, row.context);
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

void Generator::accept(Row& row, const Choice& choice, const GenerationOptions& options,
                       const Listener& stream, std::size_t number) const {
  Completion& completion = row.completion;
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
  Decoder decoder(model_, parameters_, count, capacity);

  std::vector<Row> rows(prompts.size());
  std::vector<RandomStream> random;
  std::vector<std::vector<std::int32_t>> contexts;
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
    contexts.push_back(row.context);
  }
  decoder.fill(contexts);
  const WritingRule rule{.how = options.sampling(),
                         .end = options.stop_at_end ? tokenizer_.end_id() : -1};
  // Who listens hears each token as it comes.
  const std::int64_t burst = stream ? 1 : decoder.burst();
  const auto working = [](const Row& row) { return !row.done; };
  while (std::any_of(rows.begin(), rows.end(), working)) {
    std::vector<Turn> turns(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Row& row = rows[i];
      if (!row.done && !make_room(row, static_cast<std::int64_t>(i), decoder, options)) {
        row.completion.reason = Completion::Reason::context;
        row.bytes += row.decoder->flush();
        row.done = true;
      }
      if (row.done) continue;
      const auto written = static_cast<std::int64_t>(row.completion.tokens.size());
      turns[i] = {.context = row.context,
                  .left = std::min(burst, options.tokens - written),
                  .random = random[i],
                  .draw = row.completion.tokens.size()};
    }
    const std::vector<std::vector<Choice>> written = decoder.write(rule, turns);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // What was written after a stop text is dropped.
      for (const Choice& choice : written[i]) {
        if (!rows[i].done) accept(rows[i], choice, options, stream, i);
      }
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
  Decoder decoder(model_, parameters_, 1, static_cast<std::int64_t>(tokens.size()));
  return decoder.begin(0, tokens);
}

}  // namespace lathe
