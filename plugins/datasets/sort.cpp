// Dataset "sort": digits, then the same digits in order, "201102" + "001122": minGPT's demo task.
//
//   [data]
//   use = "sort"
//   length = 6
//   digits = 3
//
// Example i of a split is a uniform draw among the inputs of that split (so draws repeat when there
// are few inputs: 3^6 = 729). An input belongs to validation if its hash says so, about one in
// four, whatever the seed: no input is ever in both splits.
#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/base/random.h>
#include <lathe/data/examples.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>

namespace lathe {

class SortDataset final : public Dataset {
 public:
  struct Options : Keys {
    int length = key("length", 6, "digits to sort", between(1, 1000));
    int digits = key("digits", 3, "kinds of digits, from 0", between(2, 10));
    std::int64_t train = key("train", std::int64_t{10000}, "training draws an epoch", at_least(1));
    std::int64_t validation = key("validation", std::int64_t{5000}, "held-out draws", at_least(0));
    bool end = key("end", false, "put the end token after the sorted digits");
    std::string loss =
        key("loss", "responses", "tokens that are learnt: of the sorted digits, or all",
            one_of({"responses", "all"}));
  };
  explicit SortDataset(const Config& config) : with_(config) {}

  void read(const DataContext& context) override {
    train_draws_ = RandomStream(context.seed, "sort/training");
    validation_draws_ = RandomStream(context.seed, "sort/validation");
    alphabet_ = std::string("0123456789").substr(0, static_cast<std::size_t>(with_.digits));
    if (with_.validation > 0) input_of(Split::validation, 0);  // fails here where there is none
    input_of(Split::train, 0);
  }

  std::vector<std::string_view> texts() const override { return {alphabet_}; }

  void tokenise(const DataContext& context) override { tokenizer_ = context.tokenizer; }

  std::int64_t size(Split split) const override {
    return split == Split::train ? with_.train : with_.validation;
  }

  Example example(Split split, std::int64_t index) const override {
    demand_index(index, size(split), split, "dataset sort");
    const std::string input = input_of(split, index);
    std::string sorted = input;
    std::sort(sorted.begin(), sorted.end());
    const PairTokens tokens = encode_pair(*tokenizer_, input, sorted, Seam::separate, with_.end);
    Example example = marked_example(tokens, tokens.prompt_length, with_.loss == "all");
    example.answer = sorted;
    return example;
  }

 private:
  static Split split_of(std::string_view input) {
    return Sha256().update(input).first_word() % 4 == 0 ? Split::validation : Split::train;
  }

  // Draws until the input belongs to the split.
  std::string input_of(Split split, std::int64_t index) const {
    const RandomStream draws = (split == Split::train ? train_draws_ : validation_draws_)
                                   .at(static_cast<std::uint64_t>(index));
    constexpr std::uint64_t most_draws = 1000;  // (3/4)^1000 is below 1e-124
    std::uint64_t drawn = 0;
    for (std::uint64_t draw = 0; draw < most_draws; ++draw) {
      std::string input;
      for (int i = 0; i < with_.length; ++i) {
        input +=
            static_cast<char>('0' + draws.below(static_cast<std::uint64_t>(with_.digits), drawn++));
      }
      if (split_of(input) == split) return input;
    }
    fail("dataset sort: length = ", with_.length, " and digits = ", with_.digits,
         " give too few inputs to hold some out: make one of them larger");
  }

  Options with_;
  RandomStream train_draws_, validation_draws_;
  std::string alphabet_;
  const Tokenizer* tokenizer_ = nullptr;
};

LATHE_PLUGIN(Dataset, SortDataset, "sort", "1.0.0")
}  // namespace lathe
