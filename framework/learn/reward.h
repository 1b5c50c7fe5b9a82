// Rewards: what a completion is worth.
#pragma once

#include <lathe/config/config.h>
#include <lathe/data/metric.h>
#include <lathe/learn/model_copy.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

// M completions that are scored together, with all columns of the dataset.
struct Completions {
  std::vector<std::string> prompts;  // [M]
  std::vector<std::string> texts;    // [M] without the end token
  std::vector<std::string> answers;  // [M] the dataset's checkable answer; "" without one
  std::vector<std::vector<std::int32_t>> prompt_tokens;     // [M]
  std::vector<std::vector<std::int32_t>> tokens;            // [M] with the end token, if it came
  std::vector<std::uint8_t> ended;                          // [M] 0: cut off at the longest length
  std::vector<std::int64_t> groups;                         // [M] same number: same prompt
  std::map<std::string, std::vector<std::string>> columns;  // [M] each; "" where a row lacks one

  std::size_t size() const { return texts.size(); }
};

// What a reward says of M completions.
struct Scores {
  std::vector<double> values;                 // [M]; not_applicable where it has no opinion
  std::vector<std::vector<float>> per_token;  // [M] one for each of tokens[m]; empty: none
  std::vector<Metric> metrics;                // besides the mean, which is reported anyway
};
extern const double not_applicable;  // a quiet NaN
bool applicable(double value);

// What a reward may ask for when it is opened.
struct RewardContext {
  std::filesystem::path folder;  // relative paths in options start here
  std::uint64_t seed = 0;
  const Tokenizer* tokenizer = nullptr;
  // The model of a finished run, or of a checkpoint, with the weights of its best step.
  std::function<std::unique_ptr<ModelCopy>(const std::string& run)> load_model;
};

class Reward {
 public:
  static constexpr const char* kind = "reward";
  static constexpr int interface_version = 1;

  virtual ~Reward();

  // Called once, before everything else.
  virtual void open(const RewardContext& context);
  // One value per completion, in the same order. A pure function of each completion: neither its
  // neighbours nor earlier calls change it. `scores` comes with `values` of the right size, at 0.
  virtual void score(const Completions& completions, Scores& scores) = 0;
};

// The rewards of an experiment ([[reward]]): their weighted sum.
class Rewards {
 public:
  struct Part {
    std::string name;  // of the plugin, or the option `name`
    double weight = 1;
    std::unique_ptr<Reward> reward;
  };
  explicit Rewards(std::vector<Part> parts) : parts_(std::move(parts)) {}

  // sum_k weight_k value_k over the parts that apply (0 when none does). The parts run in parallel.
  // Metrics: "score" of the sum, "score/NAME" of each part over the completions it applies to.
  Scores score(const Completions& completions) const;
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::vector<Part> parts_;
};

}  // namespace lathe
