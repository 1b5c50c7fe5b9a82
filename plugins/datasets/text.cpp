// Dataset "text": running text from a file or a folder, for the feed "windows".
//
//   [data]
//   use = "text"
//   file = "input.txt"      # UTF-8; or a folder of *.txt; .gz and .xz are unpacked
//   validation = 0.1        # the last tenth of the characters, as nanoGPT cuts
//
// Files of a folder follow one another in the order of their names, with the tokenizer's end token
// between them (none after the last).
//
// Against bias in the training text, words such as he and she can be exchanged:
//
//   counterfactual = "both"   # the training text is followed by its counterpart, as a file more
//   counterfactual = "swap"   # or each of its lines is exchanged by chance
#include <lathe/base/error.h>
#include <lathe/data/examples.h>
#include <lathe/data/mitigation.h>
#include <lathe/data/text_files.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace lathe {

namespace {

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

std::int64_t characters_in(std::string_view text) {
  return std::count_if(text.begin(), text.end(), begins_character);
}

// The byte at which character number `count` (from 0) begins; the end if there are no more.
std::size_t bytes_of(std::string_view text, std::int64_t count) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (begins_character(text[at]) && count-- == 0) break;
  }
  return at;
}

}  // namespace

class TextDataset final : public Dataset {
 public:
  struct Options : Keys {
    std::string file = required<std::string>("file", "UTF-8 text to read, or a folder of *.txt");
    double validation = key("validation", 0.1,
                            "share of the characters, at the end of the text, that is held out; "
                            "not used with validation_file",
                            at_least(0), below(1));
    std::string validation_file =
        key("validation_file", std::string(), "held-out text, or a folder of it");
    std::string separator =
        key("separator", "end", "what stands between the files of a folder: the end token, nothing",
            one_of({"end", "none"}));
    CounterfactualOptions swap{config()};
  };
  explicit TextDataset(const Config& config) : with_(config) {}

  void read(const DataContext& context) override {
    files_ = read_text_files(input_path(with_.config(), "file", context.folder));
    for (const TextFile& file : files_) train_.push_back(file.text);
    if (with_.validation_file.empty()) {
      hold_out_end();
    } else {
      held_out_files_ =
          read_text_files(input_path(with_.config(), "validation_file", context.folder));
      for (const TextFile& file : held_out_files_) validation_.push_back(file.text);
    }
    exchange(context);
  }

  std::vector<std::string_view> texts() const override { return train_; }

  void tokenise(const DataContext& context) override {
    train_stream_ = stream_of(train_, *context.tokenizer);
    validation_stream_ = stream_of(validation_, *context.tokenizer);
  }

  std::int64_t size(Split) const override { return 0; }
  Example example(Split split, std::int64_t index) const override {
    demand_index(index, 0, split, "dataset text");
    return {};
  }
  std::span<const std::int32_t> stream(Split split) const override {
    return split == Split::train ? train_stream_ : validation_stream_;
  }

  std::vector<DataFile> files() const override {
    std::vector<DataFile> all;
    for (const TextFile& file : files_) all.push_back(file.file);
    for (const TextFile& file : held_out_files_) all.push_back(file.file);
    if (pairs_file_) all.push_back(*pairs_file_);
    return all;
  }

 private:
  // Puts counterparts beside or in place of the training texts.
  void exchange(const DataContext& context) {
    const Counterfactual counterfactual(with_.swap, context);
    pairs_file_ = counterfactual.file();
    if (!counterfactual.adds() && !counterfactual.exchanges()) return;
    exchanged_.reserve(train_.size());  // views point into it
    std::int64_t line = 0;
    for (const std::string_view text : train_) {
      exchanged_.push_back(counterfactual.adds() ? counterfactual.pairs().swapped(text)
                                                 : exchanged_lines(text, counterfactual, line));
    }
    if (counterfactual.exchanges()) train_.clear();
    train_.insert(train_.end(), exchanged_.begin(), exchanged_.end());
  }

  // Lines are numbered through all texts.
  static std::string exchanged_lines(std::string_view text, const Counterfactual& counterfactual,
                                     std::int64_t& line) {
    std::string result;
    while (!text.empty()) {
      const std::string_view one = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
      text.remove_prefix(one.size());
      result +=
          counterfactual.exchanges(line++) ? counterfactual.pairs().swapped(one) : std::string(one);
    }
    return result;
  }

  // Cuts the texts, as if they were one, after the training share of their characters.
  void hold_out_end() {
    std::int64_t characters = 0;
    for (const std::string_view text : train_) characters += characters_in(text);
    std::int64_t left = training_share(characters, with_.validation);
    std::vector<std::string_view> kept;
    for (const std::string_view text : train_) {
      const std::size_t cut = bytes_of(text, left);
      left -= characters_in(text.substr(0, cut));
      if (cut > 0) kept.push_back(text.substr(0, cut));
      if (cut < text.size()) validation_.push_back(text.substr(cut));
    }
    train_ = std::move(kept);
  }

  std::vector<std::int32_t> stream_of(const std::vector<std::string_view>& texts,
                                      const Tokenizer& tokenizer) const {
    std::vector<std::int32_t> stream;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (i > 0 && with_.separator == "end") {
        if (tokenizer.end_id() < 0) {
          fail("dataset text: the tokenizer has no end token to put between the ", texts.size(),
               " texts: give it one (specials = true for chars) or set separator = \"none\"");
        }
        stream.push_back(tokenizer.end_id());
      }
      const std::vector<std::int32_t> ids = tokenizer.encode_parallel(texts[i]);
      stream.insert(stream.end(), ids.begin(), ids.end());
    }
    return stream;
  }

  Options with_;
  std::vector<TextFile> files_, held_out_files_;  // what the views below point into
  std::vector<std::string> exchanged_;            // likewise
  std::optional<DataFile> pairs_file_;
  std::vector<std::string_view> train_, validation_;
  std::vector<std::int32_t> train_stream_, validation_stream_;
};

LATHE_PLUGIN(Dataset, TextDataset, "text", "1.0.0")
}  // namespace lathe
