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
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/data/examples.h>
#include <lathe/data/text_files.h>
#include <lathe/plugin/plugin.h>

#include <map>
#include <utility>

namespace lathe {

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
    std::string between = key("between", "\n", "text between prompt and response");
    bool end = key("end", true, "put the end token after responses");
  };
  explicit PreferencesDataset(const Config& config) : with_(config) {}

  void read(const DataContext& context) override {
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
      fail(files_[1].path.string(), ":", pair.line, ": the question is in ",
           files_[0].path.string(), ":", found->second, " too: leave it out of one of them");
    }
  }

  std::vector<std::string_view> texts() const override {
    std::vector<std::string_view> texts = {with_.between};
    for (const Pair& pair : train_.pairs) {
      texts.insert(texts.end(), {pair.prompt, pair.chosen, pair.rejected});
    }
    return texts;
  }

  void tokenise(const DataContext& context) override {
    for (Half* half : {&train_, &validation_}) {
      for (const Pair& pair : half->pairs) {
        half->chosen.push_back(example_of(pair, pair.chosen, *context.tokenizer));
        half->rejected.push_back(example_of(pair, pair.rejected, *context.tokenizer));
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
    std::string file;
    std::size_t line = 0;
  };
  struct Half {
    std::vector<Pair> pairs;
    std::vector<Example> chosen, rejected;
  };
  const Half& half(Split split) const { return split == Split::train ? train_ : validation_; }

  std::vector<Pair> read_pairs(const std::filesystem::path& path, const std::string& file) {
    const TextFile text = read_text_file(path);
    files_.push_back(text.file);
    std::vector<Pair> pairs;
    std::size_t line = 0;
    for (std::string_view rest = text.text; !rest.empty();) {
      ++line;
      const std::string_view row = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), row.size() + 1));
      if (row.find_first_not_of(" \t\r") == row.npos) continue;
      pairs.push_back(pair_of(parse_json_line(row, path.string(), line), path.string(), line));
      pairs.back().file = file;
    }
    if (pairs.empty()) fail(path.string(), ": no pairs: expected one JSON object a line");
    return pairs;
  }

  Pair pair_of(const Json& row, const std::string& path, std::size_t line) const {
    const auto text = [&](const std::string& key, bool number) {
      const auto found = row.is_object() ? row.find(key) : row.end();
      if (found == row.end()) {
        fail(path, ":", line, ": expected an object with the key '", key,
             "'. The options of the dataset can name other columns");
      }
      if (number && found->is_number()) return found->dump();
      if (!found->is_string()) {
        fail(path, ":", line, ": key '", key, "': expected a string", number ? " or a number" : "",
             ", found ", found->type_name());
      }
      return found->get<std::string>();
    };
    Pair pair;
    pair.prompt = text(with_.prompt, false);
    pair.chosen = text(with_.chosen, false);
    pair.rejected = text(with_.rejected, false);
    pair.question = with_.question.empty() ? pair.prompt : text(with_.question, true);
    pair.line = line;
    if (pair.chosen == pair.rejected) {
      fail(path, ":", line,
           ": both responses are the same, so none can be liked more: leave the "
           "pair out");
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

  Example example_of(const Pair& pair, const std::string& response,
                     const Tokenizer& tokenizer) const {
    try {
      const PairTokens tokens =
          encode_pair(tokenizer, pair.prompt + with_.between, response, Seam::separate, with_.end);
      Example example = marked_example(tokens, tokens.prompt_length, false);
      example.answer = pair.chosen;
      example.columns = {{"question", pair.question}};
      return example;
    } catch (const Error& problem) {
      fail(pair.file, ":", pair.line, ": ", problem.what());
    }
  }

  Options with_;
  std::vector<DataFile> files_;
  Half train_, validation_;
};

LATHE_PLUGIN(Dataset, PreferencesDataset, "preferences", "1.0.0")
}  // namespace lathe
