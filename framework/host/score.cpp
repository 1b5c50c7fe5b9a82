// lathe score: how likely texts are to a trained model, token by token.
#include <lathe/base/json.h>
#include <lathe/base/output_file.h>
#include <lathe/data/jsonl.h>
#include <lathe/data/text_files.h>
#include <lathe/host/trained_options.h>
#include <lathe/learn/likelihood.h>

#include <cmath>
#include <cstdio>
#include <optional>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  declare_trained(options);
  declare_frame(options);
  options.add_options()("text", po::value<std::vector<std::string>>(),
                        "a text; may be given again")("lines",
                                                      "each line of a file is a text of its own")(
      "jsonl", po::value<std::string>(), "file to write each token to, one line of JSON each")(
      "word-l2r", "hide the rest of a word with each of its tokens (Kauf and Ivanova, 2023)")(
      "stride", po::value<std::int64_t>(),
      "tokens between two windows of a text that is longer than the context (half of it)");
}

// What is to be scored: the tokens behind the prompt, which is empty for a plain text.
struct Text {
  std::string source;  // "FILE:LINE", for messages and output
  std::string prompt;
  std::string text;
};

void add_lines(std::vector<Text>& texts, const std::string& file, std::string_view content) {
  std::size_t number = 0;
  for (const std::string_view line : lines_of(content)) {
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      texts.push_back({cat(file, ":", number), "", std::string(line)});
    }
  }
}

void add_rows(std::vector<Text>& texts, const std::string& file, std::string_view content) {
  const JsonlRows rows = parse_jsonl(content, file);
  if (rows.shape != RowShape::text && rows.shape != RowShape::pair) {
    fail(file, ": its rows are of the shape '", name_of(rows.shape),
         "'; text, or prompt and completion, can be scored");
  }
  for (const JsonlRow& row : rows.rows) {
    const bool pair = rows.shape == RowShape::pair;
    texts.push_back({cat(file, ":", row.line), row.prompt, pair ? row.completion : row.text});
  }
}

std::vector<Text> texts_of(const Arguments& arguments) {
  std::vector<Text> texts;
  if (arguments.has("text")) {
    for (const std::string& text : arguments.options["text"].as<std::vector<std::string>>()) {
      texts.push_back({cat("text ", texts.size() + 1), "", text});
    }
  }
  for (std::size_t i = 1; i < arguments.words.size(); ++i) {
    const std::string& file = arguments.words[i];
    const TextFile read = read_text_file(file);
    if (file.ends_with(".jsonl")) {
      add_rows(texts, file, read.text);
    } else if (arguments.has("lines")) {
      add_lines(texts, file, read.text);
    } else {
      texts.push_back({file, "", read.text});
    }
  }
  if (texts.empty()) throw UsageError("there is no text: name a file, or use --text \"...\"");
  return texts;
}

// A text as tokens, with what stands around it.
struct Read {
  LikelihoodRow row;
  std::vector<ByteSpan> spans;  // of each token behind a begin token, in prompt and text
};

Read read(const Text& text, const TextFrame& frame, const Tokenizer& tokenizer, bool causal) {
  try {
    Read result;
    std::vector<std::int32_t> tokens = tokenizer.encode(text.prompt);
    result.spans = spans_of(tokens, text.prompt, tokenizer);
    const auto asked = static_cast<std::int64_t>(tokens.size()) + (frame.begin ? 1 : 0);
    const std::vector<std::int32_t> own = tokenizer.encode(text.text);
    for (const ByteSpan& span : spans_of(own, text.text, tokenizer)) {
      result.spans.push_back({text.prompt.size() + span.begin, text.prompt.size() + span.end});
    }
    tokens.insert(tokens.end(), own.begin(), own.end());
    result.row.tokens = framed(std::move(tokens), frame, tokenizer);
    result.row.places = places_of_text(result.row.tokens, tokenizer, causal);
    std::erase_if(result.row.places, [&](std::int64_t place) { return place < asked; });
    return result;
  } catch (const Error& error) {
    fail(text.source, ": ", error.what());
  }
}

// Sums over texts, and the words that go with them.
struct Totals {
  bool causal = false;
  std::int64_t texts = 0;
  std::int64_t tokens = 0;
  double sum = 0;

  void add(const std::vector<double>& each) {
    ++texts;
    tokens += static_cast<std::int64_t>(each.size());
    for (const double one : each) sum += one;
  }
  std::string prefix(const char* pseudo) const { return causal ? "" : pseudo; }
  std::optional<double> perplexity() const {
    if (tokens == 0) return {};
    return std::exp(-sum / static_cast<double>(tokens));
  }
  Json json() const {
    Json line = {{prefix("pseudo_") + "log_likelihood", sum}, {"tokens", tokens}};
    line[prefix("pseudo_") + "perplexity"] = perplexity() ? Json(*perplexity()) : Json();
    return line;
  }
  std::string line() const {
    char numbers[128];
    std::snprintf(numbers, sizeof numbers, "%.4f, %lld tokens", sum,
                  static_cast<long long>(tokens));
    std::string text = prefix("pseudo-") + "log-likelihood " + numbers;
    if (const auto value = perplexity()) {
      std::snprintf(numbers, sizeof numbers, "%.4f", *value);
      text += ", " + prefix("pseudo-") + "perplexity " + numbers;
    }
    return text;
  }
};

std::string dumped(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Scores texts some at a time, and writes what is known of each as soon as it is.
class Scoring {
 public:
  Scoring(const Arguments& arguments, const Trained& trained)
      : arguments_(arguments),
        tokenizer_(*trained.session.tokenizer),
        model_(*trained.session.model),
        frame_(frame_of(arguments, trained)),
        stride_(std::max<std::int64_t>(model_.context() / 2, 1)),
        likelihood_(model_, trained.session.parameters, tokenizer_,
                    {.word_left_to_right = arguments.has("word-l2r")}) {
    if (arguments.has("stride")) stride_ = arguments.options["stride"].as<std::int64_t>();
    text_windows(0, model_.context(), stride_, model_.causal());  // says which strides there are
    if (arguments.has("jsonl")) tokens_.emplace(arguments.text("jsonl"));
    totals_.causal = model_.causal();
  }

  void score(const std::vector<Text>& texts) {
    std::vector<Read> all;
    std::int64_t asked = 0;
    for (const Text& text : texts) {
      all.push_back(read(text, frame_, tokenizer_, model_.causal()));
      asked += std::ssize(all.back().row.places);
    }
    Progress progress("score", asked, arguments_.progress());
    for (std::size_t begin = 0; begin < texts.size();) {
      constexpr std::int64_t enough = 16384;  // tokens asked for at a time
      std::vector<LikelihoodRow> rows;
      std::int64_t some = 0;
      std::size_t end = begin;
      for (; end < texts.size() && (end == begin || some < enough); ++end) {
        for (LikelihoodRow& row :
             in_windows(all[end].row, model_.context(), stride_, model_.causal())) {
          rows.push_back(std::move(row));
        }
        some += std::ssize(all[end].row.places);
      }
      const auto values = likelihood_.log_probabilities(
          rows, [&](std::int64_t done) { progress.update(totals_.tokens + done); });
      std::vector<double> flat;
      for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
      auto first = flat.begin();
      for (; begin < end; ++begin) {
        const auto last = first + std::ssize(all[begin].row.places);
        write(texts[begin], all[begin], {first, last});
        first = last;
      }
    }
    progress.finish();
    if (arguments_.has("json")) {
      Json line = totals_.json();
      line["texts"] = totals_.texts;
      std::printf("%s\n", dumped({{"total", line}}).c_str());
    } else if (totals_.texts > 1) {
      std::printf("all %lld texts: %s\n", static_cast<long long>(totals_.texts),
                  totals_.line().c_str());
    }
    if (tokens_) tokens_->commit();
  }

 private:
  void write(const Text& text, const Read& read, const std::vector<double>& each) {
    Totals own{.causal = totals_.causal};
    own.add(each);
    totals_.add(each);
    if (arguments_.has("json")) {
      Json line = own.json();
      line["source"] = text.source;
      std::printf("%s\n", dumped(line).c_str());
    } else {
      std::printf("%s: %s\n", text.source.c_str(), own.line().c_str());
    }
    for (std::size_t i = 0; tokens_ && i < each.size(); ++i) {
      const std::int64_t place = read.row.places[i];
      const std::int32_t id = read.row.tokens[static_cast<std::size_t>(place)];
      const ByteSpan span = read.spans[static_cast<std::size_t>(place - (frame_.begin ? 1 : 0))];
      tokens_->write(dumped({{"source", text.source},
                             {"place", place},
                             {"id", id},
                             {"token", tokenizer_.token(id)},
                             {"begin", span.begin},
                             {"end", span.end},
                             {"log_probability", each[i]}}) +
                     "\n");
    }
  }

  const Arguments& arguments_;
  const Tokenizer& tokenizer_;
  const Model& model_;
  TextFrame frame_;
  std::int64_t stride_;
  Likelihood likelihood_;
  std::optional<OutputFile> tokens_;
  Totals totals_;
};

int score(const Arguments& arguments, Registry& registry) {
  const std::vector<Text> texts = texts_of(arguments);
  const Trained trained(trained_request(arguments), registry);
  Scoring(arguments, trained).score(texts);
  return exit_done;
}
}  // namespace

const Verb score_verb{"score", "RUN [FILE ...]", "tell how likely texts are to a trained model",
                      declare, score};

}  // namespace lathe
