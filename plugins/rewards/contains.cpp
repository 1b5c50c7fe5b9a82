// reward "contains": whether given words stand in the completion.
//
//   [[reward]]
//   use = "contains"
//   words = ["please", "thank you"]
//   need = "any"       # 1 where one of them is there, else 0
//   # "all": 1 where all are; "none": 1 where none is; "share": the share of them that is there
#include <lathe/base/error.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

#include <algorithm>

namespace lathe {

namespace {

// Bytes beyond ASCII count as letters.
bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

class Contains final : public Reward {
 public:
  struct Options : Keys {
    std::vector<std::string> words = required<std::vector<std::string>>(
        "words", "words or phrases that are looked for", not_empty);
    std::string need =
        key("need", "any", "what is worth 1", one_of({"any", "all", "none", "share"}));
    bool ignore_case = key("ignore_case", true, "capital and small letters are the same");
    bool whole_words =
        key("whole_words", true, "no letter or digit stands right before or after the word");
  };
  explicit Contains(const Config& config) : with_(config) {
    for (const std::string& word : with_.words) {
      if (word.empty()) fail(config.where(), ": reward 'contains': one of the words is empty");
      words_.push_back(with_.ignore_case ? lower_case(word) : word);
    }
  }

  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const std::string text =
          with_.ignore_case ? lower_case(completions.texts[m]) : completions.texts[m];
      const auto found = std::count_if(words_.begin(), words_.end(), [&](const std::string& word) {
        return stands_in(text, word);
      });
      scores.values[m] = value_of(found);
    }
  }

 private:
  double value_of(std::int64_t found) const {
    const std::int64_t all = std::ssize(words_);
    if (with_.need == "share") return static_cast<double>(found) / static_cast<double>(all);
    if (with_.need == "none") return found == 0 ? 1 : 0;
    return found >= (with_.need == "all" ? all : 1) ? 1 : 0;
  }

  bool stands_in(std::string_view text, std::string_view word) const {
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
      if (!with_.whole_words) return true;
      const std::size_t end = at + word.size();
      const bool joined_before = at > 0 && is_word_byte(text[at - 1]) && is_word_byte(word.front());
      const bool joined_after =
          end < text.size() && is_word_byte(text[end]) && is_word_byte(word.back());
      if (!joined_before && !joined_after) return true;
    }
    return false;
  }

  Options with_;
  std::vector<std::string> words_;
};

LATHE_PLUGIN(Reward, Contains, "contains", "1.0.0")
}  // namespace lathe
