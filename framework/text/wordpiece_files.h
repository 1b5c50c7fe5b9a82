// The files of a WordPiece vocabulary. Not for public headers: it brings in JSON.
#pragma once

#include <lathe/text/tokenizer_json.h>
#include <lathe/text/wordpiece.h>

#include <filesystem>

namespace lathe {

// From tokenizer.json, vocab.txt (one token a line; tokenizer_config.json beside it says what the
// rules are, else `lowercase` does) or a folder that holds one. Throws Error, naming the file and
// the JSON path or line, at anything unsupported.
WordPieceParts read_wordpiece(const std::filesystem::path& file_or_folder, bool lowercase = true);
WordPieceParts read_wordpiece_json(const Json& root, const std::filesystem::path& file);

void write_wordpiece(const WordPieceParts& parts, const std::filesystem::path& folder);

}  // namespace lathe
