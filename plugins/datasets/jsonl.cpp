// Dataset "jsonl": rows of a JSON Lines file, for the feeds "rows" and "packed".
//
//   [data]
//   use = "jsonl"
//   file = "train.jsonl"
//
// The columns tell what the rows are, and all rows of a file are of one kind:
//   {"text": "..."}                           learnt whole
//   {"prompt": "...", "completion": "..."}    the completion and its end token are learnt
//   {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
//                                             what the assistant says is learnt
// A column "answer" (a string or a number) is what a reward checks against; without it the
// completion or the last message is. Rewards also see every further column of strings or numbers,
// and "answer" as it stands in the row.
//
// Against bias in the training rows: `counterfactual` exchanges words such as he and she, row by
// row, and `reweight` gives the rows of each group another weight in the loss.
//
//   counterfactual = "both"       # each row with such words is followed by its counterpart
//   reweight = "named"            # or "inverse": the groups weigh equally much
//   group = "dialect"             # the column that holds the group
//   group_weights = { north = 1.0, south = 2.5 }
#include <lathe/base/error.h>
#include <lathe/data/examples.h>
#include <lathe/data/jsonl.h>
#include <lathe/data/mitigation.h>
#include <lathe/data/text_files.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace lathe {

namespace {

// What templates put around the contents: a tokenizer that learns characters must know them.
constexpr std::string_view template_text =
    "System: User: Assistant: \n<|im_start|>system\nuser\nassistant\n<|im_end|>\n";

}  // namespace

class JsonlDataset final : public Dataset {
 public:
  struct Options : Keys {
    std::string file = required<std::string>("file", "rows to read; .gz and .xz are unpacked");
    double validation = key("validation", 0.1,
                            "share of the rows, at the end of the file, that is held out; not used "
                            "with validation_file",
                            at_least(0), below(1));
    std::string validation_file = key("validation_file", std::string(), "held-out rows");
    std::string loss =
        key("loss", "responses", "tokens that are learnt: of completions and answers, or all",
            one_of({"responses", "all"}));
    std::string chat =
        key("template", "plain", "how messages become text", one_of({"plain", "chatml"}));
    std::string seam = key("seam", "separate",
                           "prompt and completion are cut into tokens each alone, or as one text",
                           one_of({"separate", "joint"}));
    bool end = key("end", true, "put the end token after texts and completions");
    std::string text = key("text", "text", "column of whole texts");
    std::string prompt = key("prompt", "prompt", "column of prompts");
    std::string completion =
        key("completion", "completion", "column of completions; empty: the rows are prompts alone");
    std::string messages = key("messages", "messages", "column of conversations");
    std::string answer = key("answer", "answer", "column of checkable answers");
    std::int64_t longest_line =
        key("longest_line", std::int64_t{1} << 24, "bytes that a line may have", at_least(1));
    CounterfactualOptions swap{config()};
    ReweightOptions weigh{config()};
  };
  explicit JsonlDataset(const Config& config) : with_(config) {}

  void read(const DataContext& context) override {
    read_.push_back(read_rows(input_path(with_.config(), "file", context.folder)));
    const auto rows = static_cast<std::int64_t>(read_[0].content.rows.size());
    train_rows_ = rows;
    if (with_.validation_file.empty()) {
      train_rows_ = training_share(rows, with_.validation);
    } else {
      read_.push_back(read_rows(input_path(with_.config(), "validation_file", context.folder)));
    }
    mitigate(context);
    for (std::int64_t i = 0; i < train_rows_; ++i) {
      append_texts(read_[0].content.rows[static_cast<std::size_t>(i)]);
    }
    if (read_[0].content.shape == RowShape::messages) texts_.push_back(template_text);
  }

  std::vector<std::string_view> texts() const override { return texts_; }

  void tokenise(const DataContext& context) override {
    const std::set<std::string> names = column_names();
    for (const RowsFile& rows : read_) {
      for (const JsonlRow& row : rows.content.rows) {
        const bool is_train =
            &rows == &read_[0] && static_cast<std::int64_t>(train_.size()) < train_rows_;
        (is_train ? train_ : validation_)
            .push_back(example_of(rows, row, names, *context.tokenizer));
      }
    }
    for (std::size_t i = 0; i < train_.size(); ++i) {
      for (float& weight : train_[i].weights) weight *= static_cast<float>(factors_[i]);
    }
  }

  std::int64_t size(Split split) const override {
    return static_cast<std::int64_t>(examples(split).size());
  }
  Example example(Split split, std::int64_t index) const override {
    demand_index(index, size(split), split, "dataset jsonl");
    return examples(split)[static_cast<std::size_t>(index)];
  }

  std::vector<DataFile> files() const override {
    std::vector<DataFile> all;
    for (const RowsFile& rows : read_) all.push_back(rows.file.file);
    if (pairs_file_) all.push_back(*pairs_file_);
    return all;
  }

 private:
  struct RowsFile {
    TextFile file;
    JsonlRows content;
  };

  const std::vector<Example>& examples(Split split) const {
    return split == Split::train ? train_ : validation_;
  }

  RowsFile read_rows(const std::filesystem::path& path) const {
    RowsFile rows{read_text_file(path), {}};
    rows.content =
        parse_jsonl(rows.file.text, path.string(),
                    {with_.text, with_.prompt, with_.completion, with_.messages, with_.answer},
                    static_cast<std::size_t>(with_.longest_line));
    rows.file.text.clear();
    rows.file.text.shrink_to_fit();
    return rows;
  }

  static std::vector<std::string_view> texts_of(const JsonlRow& row) {
    std::vector<std::string_view> texts;
    for (const std::string* text : {&row.text, &row.prompt, &row.completion}) {
      if (!text->empty()) texts.push_back(*text);
    }
    for (const Message& message : row.messages) texts.push_back(message.content);
    return texts;
  }
  void append_texts(const JsonlRow& row) {
    const std::vector<std::string_view> texts = texts_of(row);
    texts_.insert(texts_.end(), texts.begin(), texts.end());
  }

  // Exchanges words in the training rows, and finds the factor of each.
  void mitigate(const DataContext& context) {
    const Counterfactual counterfactual(with_.swap, context);
    pairs_file_ = counterfactual.file();
    std::vector<JsonlRow>& all = read_[0].content.rows;
    std::vector<JsonlRow> rows;
    for (std::int64_t i = 0; i < train_rows_; ++i) {
      JsonlRow& row = all[static_cast<std::size_t>(i)];
      JsonlRow other = counterfactual.adds() || counterfactual.exchanges(i)
                           ? exchanged(row, counterfactual.pairs())
                           : row;
      const bool differs = texts_of(other) != texts_of(row);
      if (!differs || counterfactual.adds()) rows.push_back(std::move(row));
      if (differs) rows.push_back(std::move(other));
    }
    const auto held_out = all.begin() + train_rows_;
    train_rows_ = std::ssize(rows);
    rows.insert(rows.end(), std::move_iterator(held_out), std::move_iterator(all.end()));
    all = std::move(rows);
    std::vector<std::string> groups;
    for (std::int64_t i = 0; i < train_rows_; ++i) {
      groups.push_back(group_of(all[static_cast<std::size_t>(i)], counterfactual));
    }
    factors_ = group_factors(with_.weigh, groups);
  }

  static JsonlRow exchanged(JsonlRow row, const WordPairs& pairs) {
    for (std::string* text : {&row.text, &row.prompt, &row.completion, &row.answer}) {
      *text = pairs.swapped(*text);
    }
    for (Message& message : row.messages) message.content = pairs.swapped(message.content);
    return row;
  }

  std::string group_of(const JsonlRow& row, const Counterfactual& counterfactual) const {
    if (with_.weigh.reweight == "none") return "";
    if (with_.weigh.group.empty()) return counterfactual.side_of(texts_of(row));
    const auto found =
        std::find_if(row.columns.begin(), row.columns.end(),
                     [&](const auto& column) { return column.first == with_.weigh.group; });
    if (found == row.columns.end()) {
      fail(read_[0].file.file.path.string(), ":", row.line, ": the key '", with_.weigh.group,
           "' is missing, which is to hold the group of the row: a string, \"\" for none");
    }
    return found->second;
  }

  // All examples name all columns, so that a reward can tell a row without a value from a column
  // that nobody has.
  std::set<std::string> column_names() const {
    std::set<std::string> names;
    for (const RowsFile& rows : read_) {
      for (const JsonlRow& row : rows.content.rows) {
        for (const auto& [name, value] : row.columns) names.insert(name);
        if (!row.answer.empty()) names.insert("answer");
      }
    }
    return names;
  }

  static std::vector<std::pair<std::string, std::string>> columns_of(
      const JsonlRow& row, const std::set<std::string>& names) {
    std::map<std::string, std::string> values(row.columns.begin(), row.columns.end());
    values["answer"] = row.answer;
    std::vector<std::pair<std::string, std::string>> columns;
    for (const std::string& name : names) columns.emplace_back(name, values[name]);
    return columns;
  }

  Example example_of(const RowsFile& rows, const JsonlRow& row, const std::set<std::string>& names,
                     const Tokenizer& tokenizer) const {
    try {
      Example example = tokens_of(rows.content.shape, row, tokenizer);
      if (example.tokens.empty()) fail("the row is empty: there is nothing to learn");
      if (!row.answer.empty()) example.answer = row.answer;
      example.columns = columns_of(row, names);
      return example;
    } catch (const Error& problem) {
      fail(rows.file.file.path.string(), ":", row.line, ": ", problem.what());
    }
  }

  Example tokens_of(RowShape shape, const JsonlRow& row, const Tokenizer& tokenizer) const {
    const bool all_count = with_.loss == "all";
    if (shape == RowShape::messages) return conversation(row, tokenizer);
    if (shape == RowShape::prompt) {
      const PairTokens tokens = encode_pair(tokenizer, row.prompt, "", Seam::separate, false);
      return marked_example(tokens, tokens.prompt_length, all_count);
    }
    if (shape == RowShape::text) {
      const PairTokens tokens = encode_pair(tokenizer, "", row.text, Seam::separate, with_.end);
      return marked_example(tokens, 0, all_count);
    }
    const Seam seam = with_.seam == "joint" ? Seam::joint : Seam::separate;
    const PairTokens tokens = encode_pair(tokenizer, row.prompt, row.completion, seam, with_.end);
    Example example = marked_example(tokens, tokens.prompt_length, all_count);
    example.answer = row.completion;
    return example;
  }

  // The prompt of a conversation is all before the last answer.
  Example conversation(const JsonlRow& row, const Tokenizer& tokenizer) const {
    const auto last =
        std::find_if(row.messages.rbegin(), row.messages.rend(),
                     [](const Message& message) { return message.role == "assistant"; });
    if (last == row.messages.rend()) {
      if (with_.loss == "responses") {
        fail("no message is the assistant's, so there is nothing to learn: leave the row out or ",
             "set loss = \"all\"");
      }
      return marked_example(encode_chat(tokenizer, row.messages, with_.chat), 0, true);
    }
    const auto before =
        std::span(row.messages).first(static_cast<std::size_t>(row.messages.rend() - last) - 1);
    const MarkedTokens asked = encode_chat(tokenizer, before, with_.chat, true);
    Example example =
        marked_example(encode_chat(tokenizer, row.messages, with_.chat),
                       static_cast<std::int64_t>(asked.ids.size()), with_.loss == "all");
    example.answer = last->content;
    return example;
  }

  Options with_;
  std::vector<RowsFile> read_;  // the file, then the validation file
  std::int64_t train_rows_ = 0;
  std::vector<double> factors_;  // of the weights of each training row
  std::optional<DataFile> pairs_file_;
  std::vector<std::string_view> texts_;
  std::vector<Example> train_, validation_;
};

LATHE_PLUGIN(Dataset, JsonlDataset, "jsonl", "1.0.0")
}  // namespace lathe
