// Dataset "sums": generated arithmetic with checkable answers, "123+456=579".
//
//   [data]
//   use = "sums"
//   digits = 3
//   reversed = true     # "123+456=975": the lowest digit first, as carries run
//
// The prompt is "a+b=", the completion the answer and the end token. Both numbers are uniform over
// 0..10^digits-1. All problems stand in one random order (by the seed): the first `validation` of
// them are held out, the next `train` are for training, so no problem is in both.
#include <lathe/base/error.h>
#include <lathe/base/random.h>
#include <lathe/data/examples.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>

namespace lathe {

class SumsDataset final : public Dataset {
 public:
  struct Options : Keys {
    int digits = key("digits", 3, "digits of the largest number", between(1, 9));
    std::string operation = key("operation", "+", "sum or product", one_of({"+", "*"}));
    bool reversed = key("reversed", false, "write the answer from its lowest digit");
    bool padded =
        key("padded", false, "write leading zeros, so that all problems are equally long");
    std::int64_t train = key("train", std::int64_t{10000}, "training problems", at_least(1));
    std::int64_t validation =
        key("validation", std::int64_t{1000}, "held-out problems", at_least(0));
    std::string loss = key("loss", "responses", "tokens that are learnt: of the answers, or all",
                           one_of({"responses", "all"}));
  };
  explicit SumsDataset(const Config& config) : with_(config) {
    for (int i = 0; i < with_.digits; ++i) numbers_ *= 10;
  }

  void read(const DataContext& context) override {
    const std::int64_t problems = numbers_ * numbers_;
    if (with_.train > problems || with_.validation > problems - with_.train) {
      fail("dataset sums: train = ", with_.train, " and validation = ", with_.validation,
           " together exceed the ", problems, " problems of ", with_.digits,
           " digits: ask for fewer or for more digits");
    }
    order_ = RandomStream(context.seed, "sums");
    alphabet_ = "0123456789" + with_.operation + "=";
    for (std::int64_t i = 0; i < std::min<std::int64_t>(with_.train, 10000); ++i) {
      const Problem problem = problem_of(Split::train, i);
      sample_.push_back(problem.prompt + problem.answer);
    }
  }

  std::vector<std::string_view> texts() const override {
    std::vector<std::string_view> texts = {alphabet_};
    texts.insert(texts.end(), sample_.begin(), sample_.end());
    return texts;
  }

  void tokenise(const DataContext& context) override { tokenizer_ = context.tokenizer; }

  std::int64_t size(Split split) const override {
    return split == Split::train ? with_.train : with_.validation;
  }

  Example example(Split split, std::int64_t index) const override {
    demand_index(index, size(split), split, "dataset sums");
    const Problem problem = problem_of(split, index);
    const PairTokens tokens = encode_pair(*tokenizer_, problem.prompt, problem.answer);
    Example example = marked_example(tokens, tokens.prompt_length, with_.loss == "all");
    example.answer = problem.answer;
    return example;
  }

 private:
  struct Problem {
    std::string prompt;
    std::string answer;
  };

  Problem problem_of(Split split, std::int64_t index) const {
    const std::int64_t place = split == Split::train ? with_.validation + index : index;
    const auto problem =
        static_cast<std::int64_t>(permuted(order_, static_cast<std::uint64_t>(place),
                                           static_cast<std::uint64_t>(numbers_ * numbers_)));
    const std::int64_t left = problem / numbers_;
    const std::int64_t right = problem % numbers_;
    const bool is_sum = with_.operation == "+";
    std::string answer =
        written(is_sum ? left + right : left * right, is_sum ? with_.digits + 1 : 2 * with_.digits);
    if (with_.reversed) std::reverse(answer.begin(), answer.end());
    return {written(left, with_.digits) + with_.operation + written(right, with_.digits) + "=",
            answer};
  }

  std::string written(std::int64_t number, int width) const {
    std::string text = std::to_string(number);
    const auto least = with_.padded ? static_cast<std::size_t>(width) : 0;
    if (text.size() < least) text.insert(0, least - text.size(), '0');
    return text;
  }

  Options with_;
  std::int64_t numbers_ = 1;  // 10^digits
  RandomStream order_;
  std::string alphabet_;             // every character, however few the training problems are
  std::vector<std::string> sample_;  // of the training problems
  const Tokenizer* tokenizer_ = nullptr;
};

LATHE_PLUGIN(Dataset, SumsDataset, "sums", "1.0.0")
}  // namespace lathe
