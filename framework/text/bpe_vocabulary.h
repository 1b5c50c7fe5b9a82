// The vocabulary and the merges of a byte-level BPE as its files write them. Not for public
// headers: it brings in JSON.
#pragma once

#include <lathe/text/bpe.h>
#include <lathe/text/tokenizer_json.h>

#include <string>
#include <unordered_map>

namespace lathe {

// From the written form of a token to its id.
using Vocabulary = std::unordered_map<std::string, std::int32_t>;

// Reads {"token": id, ...} and the added tokens of `parts` into parts.tokens.
Vocabulary read_vocabulary(const JsonPlace& place, BpeParts& parts);

// The merge of two written tokens; `where` begins the text of its errors.
Merge resolve_merge(const std::string& left, const std::string& right, const Vocabulary& vocabulary,
                    std::string_view where);

// Throws Error where one of the 256 bytes has no token.
void demand_all_bytes(const BpeParts& parts, std::string_view where);

}  // namespace lathe
