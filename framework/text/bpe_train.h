// Learns a byte-level BPE from texts (Sennrich, Haddow and Birch 2016), with the same result as
// Hugging Face's BpeTrainer.
#pragma once

#include <lathe/text/bpe.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct BpeTrainOptions {
  std::int64_t min_count = 1;  // occurrences that a pair needs to be merged
  // These come first in the vocabulary. "<|endoftext|>" and "<|pad|>" become end_id and pad_id.
  std::vector<std::string> special_tokens = {"<|endoftext|>", "<|pad|>"};
};

// A vocabulary of `size` entries: the special tokens, the 256 bytes in the order of their alphabet,
// then one entry for each merge. Fewer where no pair is left that occurs min_count times. Words are
// cut by GPT-2's pattern. Each merge takes the pair that occurs most often; of equals, the one with
// the lower ids. Deterministic: the order of the documents does not matter.
BpeTokenizer train_bpe(std::span<const std::string_view> documents, std::int64_t size,
                       const BpeTrainOptions& options = {});

}  // namespace lathe
