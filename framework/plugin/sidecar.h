// The sidecar of a plugin library: NAME.lathe.json beside NAME.so, which says all that the library
// would say, so that experiments are checked and manuals read without loading any of it. It is
// written after linking (lathe_add_plugin, `lathe build`) and holds for exactly that library: its
// hash, size and build-id stand in it.
#pragma once

#include <lathe/plugin/description.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct LibraryIdentity {
  std::string sha256;
  std::uint64_t size = 0;
  std::string build_id;

  bool operator==(const LibraryIdentity& other) const = default;
};

struct Sidecar {
  LibraryIdentity library;
  std::string headers;  // hash of the public headers it was built with
  std::vector<Description> components;

  const Description* find(std::string_view kind, std::string_view name) const;
};

// <folder>/NAME.lathe.json of <folder>/NAME.so.
std::filesystem::path sidecar_of(const std::filesystem::path& library);

// Asks the library in a child process (see probe.h), and writes the answer beside it, whole or not
// at all. Gives the sidecar's path. Error when the library is refused or dies.
std::filesystem::path write_sidecar(const std::filesystem::path& library);

// Nothing when there is no sidecar or it belongs to another library than `library`. Error when it
// is damaged.
std::optional<Sidecar> read_sidecar(const std::filesystem::path& file,
                                    const LibraryIdentity& library);

// The text of a sidecar, format 1, and the way back; `name` is what errors call the text.
std::string sidecar_text(const Sidecar& sidecar);
Sidecar parse_sidecar(const std::string& text, const std::string& name);

// Whether two components say the same: what the sidecar promised, and what the loaded library says.
// Gives the first difference ("the option 'side'"), or "".
std::string difference(const Description& promised, const Description& found);

}  // namespace lathe
