// Datasets: where examples come from. A dataset knows texts and tokens; it knows nothing of
// batches, shuffling or devices (feeds do that).
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

enum class Split : std::uint8_t { train, validation };
std::string_view name_of(Split split);  // "training", "validation"

// One piece of training text. weights[i] belongs to tokens[i] as a *target* (the feed shifts once);
// a response-only loss has 0 on the prompt. weights[0] is for losses that see both sides alone.
struct Example {
  std::vector<std::int32_t> tokens;
  std::vector<float> weights;
  std::int64_t prompt = 0;  // number of leading tokens that are the prompt (generation, rewards)
  std::string answer;       // the checkable answer, where the dataset has one
  std::vector<std::pair<std::string, std::string>> columns = {};  // further fields, for rewards
};

struct DataContext {
  const Tokenizer* tokenizer = nullptr;  // none in read(); afterwards it outlives the dataset
  std::filesystem::path folder;          // relative paths in options start here
  std::uint64_t seed = 0;
};

// A file that was read, for the manifest.
struct DataFile {
  std::filesystem::path path;
  std::string sha256;
  std::uint64_t bytes = 0;
};

class Dataset {
 public:
  static constexpr const char* kind = "dataset";
  static constexpr int interface_version = 1;

  virtual ~Dataset();

  // Reads (or generates) the raw texts. Called once, before everything else.
  virtual void read(const DataContext& context) = 0;
  // Texts from which a tokenizer may be learnt: the training split only. Valid after read().
  virtual std::vector<std::string_view> texts() const = 0;
  // Makes the tokens. Called once, with the finished tokenizer in the context.
  virtual void tokenise(const DataContext& context) = 0;

  virtual std::int64_t size(Split split) const = 0;
  // A pure function of (split, index), index in 0..size-1.
  virtual Example example(Split split, std::int64_t index) const = 0;
  // Of preference data: the same prompt with the response that was liked less, while example() has
  // the one liked more. An Error by default.
  virtual Example rejected(Split split, std::int64_t index) const;
  // All training (or validation) tokens in order, for feeds that cut windows; empty when the
  // dataset is not a running text.
  virtual std::span<const std::int32_t> stream(Split split) const;

  virtual std::vector<DataFile> files() const;
};

}  // namespace lathe
