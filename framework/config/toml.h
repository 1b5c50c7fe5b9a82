// TOML text as configurations whose every value knows its line.
#pragma once

#include <lathe/config/config.h>

#include <filesystem>

namespace lathe {

// `name` is what origins and messages call the text. Broken TOML is an Error with the place, the
// source line and a caret. Keys keep the order in which they are written. Dates are refused.
Config parse_toml(std::string_view text, const std::string& name);
Config read_toml(const std::filesystem::path& file);

// What a value on the command line means: TOML where it reads as such (3, 0.1, true, "a", [1, 2],
// {a = 1}), else the text itself as a string. A broken quoted string, list or table is an Error.
Config parse_value(std::string_view text, const Origin& origin);

}  // namespace lathe
