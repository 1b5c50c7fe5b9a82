// Strict JSON reading. Not for public headers: it brings in nlohmann/json.hpp.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lathe {

class FileSystem;

using Json = nlohmann::json;

// The value of one whole JSON text. Duplicate keys, nesting beyond `deepest`, bytes that are not
// UTF-8, numbers outside the range of a double and anything after the value are Errors that begin
// with "name:line:column: ". The column counts bytes from 1.
Json parse_json(std::string_view text, std::string_view name, int deepest = 128);

// As above, with `first_line` for a text that is one line of a JSONL file.
Json parse_json_line(std::string_view text, std::string_view name, std::uint64_t first_line);

Json read_json(const std::string& path);
Json read_json(FileSystem& files, const std::string& path);

}  // namespace lathe
