// Dataset "preferences": two responses to each prompt, one of which people liked more; for
// objectives that learn from preferences (reward_model, dpo).
//
//   [data]
//   use = "preferences"
//   file = "pairs.jsonl"
//   question = "question_index"   # pairs of one question stay in one split
//
// Each line is an object with strings, under names that options can change:
//   {"prompt": "...", "chosen": "...", "rejected": "..."}
// The prompt, the text `between` and a response with its end token are one example each; only the
// response is learnt. The last share of the questions, as they first appear, is held out with all
// pairs of theirs, so that no question is in both splits.
//
// What people had before their eyes when they chose, such as the passages that a question is about,
// can stand before the prompt. It is a column of the pairs or of a file of its own, where a
// question finds its row by a column of both, or by its number:
//
//   context = "passages"
//   context_file = "feedback.json.xz"
//   context_tokens = 512
//
// A context is a text or a list of parts, each of them a text or a list of sentences (joined by
// spaces); each part ends in a line feed. Of more than context_tokens tokens the longest parts lose
// their ends, to one length, until they fit. The prompt and the responses always stay whole.
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/data/examples.h>
#include <lathe/data/text_files.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace lathe {

namespace {

// The parts of a context, in their order.
using Context = std::vector<std::string>;

// A text, or a list of texts and of lists of texts. `where` is how errors call the value.
Context context_of(const Json& value, const std::string& where) {
  const auto wrong = [&](const Json& found) {
    fail(where, ": expected a text, or a list of texts or of lists of texts, found ",
         found.type_name());
  };
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_array()) wrong(value);
  Context parts;
  for (const Json& part : value) {
    std::string text;
    for (const Json& sentence : part.is_array() ? part : Json::array({part})) {
      if (!sentence.is_string()) wrong(sentence);
      if (!text.empty()) text += ' ';
      text += sentence.get<std::string>();
    }
    parts.push_back(std::move(text));
  }
  return parts;
}

std::string joined(const Context& parts) {
  std::string text;
  for (const std::string& part : parts) text.append(text.empty() ? "" : "\n").append(part);
  return text;
}

// The largest n for which parts of these lengths, each cut to n, have at most `most` together.
std::int64_t longest_part(std::vector<std::int64_t> lengths, std::int64_t most) {
  std::ranges::sort(lengths);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::int64_t share = most / static_cast<std::int64_t>(lengths.size() - i);
    if (lengths[i] > share) return share;
    most -= lengths[i];  // a short part leaves its room to the longer ones
  }
  return lengths.empty() ? 0 : lengths.back();
}

}  // namespace

class PreferencesDataset final : public Dataset {
 public:
  struct Options : Keys {
    std::string file = required<std::string>("file", "pairs to read; .gz and .xz are unpacked");
    double validation = key("validation", 0.1,
                            "share of the questions that is held out; not used with "
                            "validation_file",
                            at_least(0), below(1));
    std::string validation_file = key("validation_file", std::string(), "held-out pairs");
    std::string prompt = key("prompt", "prompt", "column of prompts");
    std::string chosen = key("chosen", "chosen", "column of responses that were liked more");
    std::string rejected = key("rejected", "rejected", "column of responses that were liked less");
    std::string question = key("question", "",
                               "column, of strings or numbers, that is the same for pairs of one "
                               "question; empty: the prompt is");
    std::string context = key("context", "",
                              "column of a text, or of a list of them, that stands before the "
                              "prompt; empty: none");
    std::string context_file = key("context_file", "",
                                   "file with that column, JSON Lines or one JSON array of "
                                   "objects, .gz and .xz too; empty: the pairs have it");
    std::string context_id = key("context_id", "",
                                 "column of context_file that is a pair's question; empty: the "
                                 "question is the number of the row, from 0");
    std::int64_t context_tokens =
        key("context_tokens", std::int64_t{0}, "longest context; 0: as long as it is", at_least(0));
    std::string between = key("between", "\n", "text between prompt and response");
    std::string loss = key("loss", "responses", "tokens that are learnt: of responses, or all",
                           one_of({"responses", "all"}));
    bool end = key("end", true, "put the end token after responses");
  };
  explicit PreferencesDataset(const Config& config) : with_(config) {
    if (with_.context.empty() && !(with_.context_file.empty() && with_.context_id.empty())) {
      fail(config.where(), ": context_file and context_id tell where contexts are, but no column ",
           "of them is named: set context, for example to \"passages\"");
    }
    if (with_.context_file.empty() && !with_.context_id.empty()) {
      fail(config.where(), ": context_id is a column of context_file, which is not set");
    }
  }

  void read(const DataContext& context) override {
    if (!with_.context_file.empty()) {
      read_contexts(input_path(with_.config(), "context_file", context.folder));
    }
    const std::vector<Pair> all =
        read_pairs(input_path(with_.config(), "file", context.folder), with_.file);
    if (with_.validation_file.empty()) {
      split(all);
      return;
    }
    train_.pairs = all;
    validation_.pairs = read_pairs(input_path(with_.config(), "validation_file", context.folder),
                                   with_.validation_file);
    std::map<std::string, std::size_t> questions;
    for (const Pair& pair : train_.pairs) questions.emplace(pair.question, pair.line);
    for (const Pair& pair : validation_.pairs) {
      const auto found = questions.find(pair.question);
      if (found == questions.end()) continue;
      const std::size_t held_out = files_.size() - 1;
      fail(files_[held_out].path.string(), ":", pair.line, ": the question is in ",
           files_[held_out - 1].path.string(), ":", found->second,
           " too: leave it out of one of them");
    }
  }

  std::vector<std::string_view> texts() const override {
    std::vector<std::string_view> texts = {with_.between};
    if (!with_.context.empty()) texts.emplace_back("\n");
    std::set<const Context*> seen;
    for (const Pair& pair : train_.pairs) {
      if (seen.insert(pair.context.get()).second) {
        texts.insert(texts.end(), pair.context->begin(), pair.context->end());
      }
      texts.insert(texts.end(), {pair.prompt, pair.chosen, pair.rejected});
    }
    return texts;
  }

  void tokenise(const DataContext& context) override {
    for (Half* half : {&train_, &validation_}) {
      Encoded last;
      for (const Pair& pair : half->pairs) {
        try {
          if (last.of != pair.context) last = encoded(pair.context, *context.tokenizer);
          half->chosen.push_back(example_of(pair, pair.chosen, last, *context.tokenizer));
          half->rejected.push_back(example_of(pair, pair.rejected, last, *context.tokenizer));
        } catch (const Error& problem) {
          fail(pair.file, ":", pair.line, ": ", problem.what());
        }
      }
    }
  }

  std::int64_t size(Split split) const override { return std::ssize(half(split).pairs); }
  Example example(Split split, std::int64_t index) const override {
    demand_index(index, size(split), split, "dataset preferences");
    return half(split).chosen[static_cast<std::size_t>(index)];
  }
  Example rejected(Split split, std::int64_t index) const override {
    demand_index(index, size(split), split, "dataset preferences");
    return half(split).rejected[static_cast<std::size_t>(index)];
  }
  std::vector<DataFile> files() const override { return files_; }

 private:
  struct Pair {
    std::string prompt, chosen, rejected, question;
    std::shared_ptr<const Context> context;  // of no parts without one
    std::string file;
    std::size_t line = 0;
  };
  struct Half {
    std::vector<Pair> pairs;
    std::vector<Example> chosen, rejected;
  };
  struct Encoded {
    std::shared_ptr<const Context> of;
    std::vector<std::int32_t> tokens;
  };
  const Half& half(Split split) const { return split == Split::train ? train_ : validation_; }

  // The rows of context_file, by the id that pairs know them by.
  void read_contexts(const std::filesystem::path& path) {
    const TextFile text = read_text_file(path);
    files_.push_back(text.file);
    const auto take = [&](const Json& row, const std::string& where) {
      const std::string id = with_.context_id.empty()
                                 ? std::to_string(contexts_.size())
                                 : string_at(row, with_.context_id, where, true);
      const bool is_new = contexts_.emplace(id, context_at(row, where)).second;
      if (!is_new) fail(where, ": an earlier row has '", with_.context_id, "' = '", id, "' too");
    };
    if (text.text.find_first_not_of(" \t\r\n") == text.text.find('[')) {
      const Json rows = parse_json(text.text, path.string());
      for (const Json& row : rows) {
        take(row, cat(path.string(), ": row ", contexts_.size(), " (from 0)"));
      }
    } else {
      for_each_row(text.text, path.string(), [&](const Json& row, std::size_t line) {
        take(row, cat(path.string(), ":", line));
      });
    }
    if (contexts_.empty()) {
      fail(path.string(), ": no rows: expected one JSON object a line, or one array of objects");
    }
  }

  std::shared_ptr<const Context> context_at(const Json& row, const std::string& where) const {
    return std::make_shared<Context>(
        context_of(value_at(row, with_.context, where), cat(where, ": key '", with_.context, "'")));
  }

  std::shared_ptr<const Context> context_of_pair(const Json& row, const Pair& pair,
                                                 const std::string& where) const {
    if (with_.context.empty()) return no_context_;
    if (with_.context_file.empty()) return context_at(row, where);
    const auto found = contexts_.find(pair.question);
    if (found != contexts_.end()) return found->second;
    const std::string file = files_.front().path.string();
    if (with_.context_id.empty()) {
      fail(where, ": the question '", pair.question, "' is no row of ", file, ", which has ",
           contexts_.size(), ", numbered from 0: name a column of it with context_id that is the ",
           "question, or add the row");
    }
    fail(where, ": no row of ", file, " has '", with_.context_id, "' = '", pair.question,
         "': add it, or leave the pair out");
  }

  template <class Take>  // void(const Json& row, std::size_t line)
  static void for_each_row(std::string_view text, const std::string& path, const Take& take) {
    std::size_t line = 0;
    for (std::string_view rest = text; !rest.empty();) {
      ++line;
      const std::string_view row = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), row.size() + 1));
      if (row.find_first_not_of(" \t\r") == row.npos) continue;
      take(parse_json_line(row, path, line), line);
    }
  }

  std::vector<Pair> read_pairs(const std::filesystem::path& path, const std::string& file) {
    const TextFile text = read_text_file(path);
    files_.push_back(text.file);
    std::vector<Pair> pairs;
    for_each_row(text.text, path.string(), [&](const Json& row, std::size_t line) {
      pairs.push_back(pair_of(row, path.string(), line));
      pairs.back().file = file;
    });
    if (pairs.empty()) fail(path.string(), ": no pairs: expected one JSON object a line");
    return pairs;
  }

  static const Json& value_at(const Json& row, const std::string& key, const std::string& where) {
    const auto found = row.is_object() ? row.find(key) : row.end();
    if (found == row.end()) {
      fail(where, ": expected an object with the key '", key,
           "'. The options of the dataset can name other columns");
    }
    return *found;
  }

  static std::string string_at(const Json& row, const std::string& key, const std::string& where,
                               bool number) {
    const Json& value = value_at(row, key, where);
    if (number && value.is_number()) return value.dump();
    if (!value.is_string()) {
      fail(where, ": key '", key, "': expected a string", number ? " or a number" : "", ", found ",
           value.type_name());
    }
    return value.get<std::string>();
  }

  Pair pair_of(const Json& row, const std::string& path, std::size_t line) const {
    const std::string where = cat(path, ":", line);
    Pair pair;
    pair.prompt = string_at(row, with_.prompt, where, false);
    pair.chosen = string_at(row, with_.chosen, where, false);
    pair.rejected = string_at(row, with_.rejected, where, false);
    pair.question =
        with_.question.empty() ? pair.prompt : string_at(row, with_.question, where, true);
    pair.context = context_of_pair(row, pair, where);
    pair.line = line;
    if (pair.chosen == pair.rejected) {
      fail(where, ": both responses are the same, so none can be liked more: leave the pair out");
    }
    return pair;
  }

  // By the number of the question, in the order in which they first appear.
  void split(const std::vector<Pair>& all) {
    std::map<std::string, std::int64_t> numbers;
    for (const Pair& pair : all) numbers.emplace(pair.question, std::ssize(numbers));
    const std::int64_t first_held_out = training_share(std::ssize(numbers), with_.validation);
    for (const Pair& pair : all) {
      const bool is_train = numbers.at(pair.question) < first_held_out;
      (is_train ? train_ : validation_).pairs.push_back(pair);
    }
  }

  // Each part with the line feed after it; parts of which nothing is kept have none.
  Encoded encoded(const std::shared_ptr<const Context>& context, const Tokenizer& tokenizer) const {
    Encoded all{context, {}};
    if (context->empty()) return all;
    const std::vector<std::int32_t> end = tokenizer.encode("\n");
    std::vector<std::vector<std::int32_t>> parts;
    std::vector<std::int64_t> lengths;
    for (const std::string& part : *context) {
      parts.push_back(tokenizer.encode(part));
      lengths.push_back(std::ssize(parts.back()) + std::ssize(end));
    }
    const std::int64_t most = with_.context_tokens == 0
                                  ? std::ranges::max(lengths)
                                  : longest_part(lengths, with_.context_tokens);
    for (const std::vector<std::int32_t>& part : parts) {
      const std::int64_t kept = std::min(std::ssize(part), most - std::ssize(end));
      if (kept <= 0) continue;
      all.tokens.insert(all.tokens.end(), part.begin(), part.begin() + kept);
      all.tokens.insert(all.tokens.end(), end.begin(), end.end());
    }
    return all;
  }

  Example example_of(const Pair& pair, const std::string& response, const Encoded& context,
                     const Tokenizer& tokenizer) const {
    PairTokens tokens =
        encode_pair(tokenizer, pair.prompt + with_.between, response, Seam::separate, with_.end);
    tokens.ids.insert(tokens.ids.begin(), context.tokens.begin(), context.tokens.end());
    tokens.is_response.insert(tokens.is_response.begin(), context.tokens.size(), 0);
    Example example = marked_example(tokens, tokens.prompt_length + std::ssize(context.tokens),
                                     with_.loss == "all");
    example.answer = pair.chosen;
    example.columns = {{"question", pair.question}};
    if (!with_.context.empty()) example.columns.emplace_back("context", joined(*pair.context));
    return example;
  }

  Options with_;
  std::vector<DataFile> files_;
  std::shared_ptr<const Context> no_context_ = std::make_shared<Context>();
  std::map<std::string, std::shared_ptr<const Context>> contexts_;  // of context_file
  Half train_, validation_;
};

LATHE_PLUGIN(Dataset, PreferencesDataset, "preferences", "1.0.0")
}  // namespace lathe
