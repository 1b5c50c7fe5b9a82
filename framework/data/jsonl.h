// JSON Lines: one object a line, in the shapes that trainers of language models agree on.
#pragma once

#include <lathe/text/chat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

// What a row is, by the columns it has.
enum class RowShape : std::uint8_t { text, pair, prompt, messages };
std::string_view name_of(RowShape shape);  // "text", "prompt + completion", "prompt", "messages"

// Names of the columns. With an empty `completion`, rows are prompts alone.
struct JsonlColumns {
  std::string text = "text";
  std::string prompt = "prompt";
  std::string completion = "completion";
  std::string messages = "messages";
  std::string answer = "answer";  // optional in every row: a string or a number
};

struct JsonlRow {
  std::uint64_t line = 0;         // from 1
  std::string text;               // text
  std::string prompt;             // pair, prompt
  std::string completion;         // pair
  std::vector<Message> messages;  // messages; roles are checked
  std::string answer;
  // All other strings and numbers of the row, by the order of their names.
  std::vector<std::pair<std::string, std::string>> columns;
};

struct JsonlRows {
  RowShape shape = RowShape::text;
  std::vector<JsonlRow> rows;
};

// The rows of a file's content, cut at line feeds alone (U+0085 and U+2028 may stand inside a
// string); lines of white space are passed over. All rows have the shape of the first one. Throws
// Error with "name:line", the key, and what was expected there.
JsonlRows parse_jsonl(std::string_view content, std::string_view name,
                      const JsonlColumns& columns = {},
                      std::size_t longest_line = std::size_t{1} << 24);

}  // namespace lathe
