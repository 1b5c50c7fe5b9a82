// Checkpoints that survive being killed, full disks and flipped bits: folders of named files.
//
// FOLDER/00000200/ holds the files and manifest.json with the length and SHA-256 of each. A save
// writes FOLDER/tmp.<step>.<pid>, syncs each file, writes the manifest last, syncs the folder,
// renames it into place and syncs FOLDER; older ones are deleted only after the new one has been
// read back and verified. So at every instant the newest that verifies is whole.
#pragma once

#include <lathe/base/file.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// One file to save. `produce` hands exactly `size` bytes to the sink, from where they lie, so that
// large buffers are written without a copy.
struct CheckpointFile {
  std::string name;
  std::uint64_t size = 0;
  std::function<void(const ByteSink&)> produce;

  static CheckpointFile view(std::string name, std::span<const std::byte> bytes);
  static CheckpointFile text(std::string name, std::string text);
};

struct CheckpointManifest {
  struct Item {
    std::string name;
    std::uint64_t size = 0;
    std::string sha256;
  };
  std::int64_t step = 0;
  std::vector<Item> files;  // sorted by name
};

// Reads every byte of the checkpoint at `path` and compares it with its manifest; the Error says
// which file fails and how.
CheckpointManifest verify_checkpoint(FileSystem& files, const std::string& path);

struct FoundCheckpoint {
  struct Rejected {
    std::string path, reason;
  };
  std::string path;        // empty: none verifies
  std::int64_t step = -1;  // -1: none
  std::vector<Rejected> rejected;

  explicit operator bool() const { return step >= 0; }
};

// The newest checkpoint in `folder` that verifies. Each newer one that does not is listed with its
// reason and logged as a warning: falling back is never silent. A missing folder holds none.
FoundCheckpoint find_newest_verified(FileSystem& files, const std::string& folder);

// The checkpoints of one run; only one process may write to a folder at a time.
class Checkpoints {
 public:
  // Makes the folder, removes what an interrupted save left, and finishes an interrupted
  // replacement. `keep_last` is at least 1.
  Checkpoints(FileSystem& files, std::string folder, int keep_last);

  // Saves and returns the path. When it throws, no older checkpoint has been touched. Needs free
  // space for the files and a tenth more, checked before anything is written. A step that is there
  // already is replaced. Afterwards the newest `keep_last` up to this step and the best remain.
  std::string save(std::int64_t step, std::span<const CheckpointFile> contents);

  // Rotation spares this one from now on (in place of the last best).
  void mark_best(std::int64_t step);
  std::optional<std::int64_t> best() const;

  // Removes every checkpoint after `step`, for a run that goes on from an older one.
  void discard_after(std::int64_t step);

  std::vector<std::int64_t> steps() const;  // rising; verified or not
  std::string path_of(std::int64_t step) const;

 private:
  void recover();
  void settle(const std::string& old_name, std::int64_t step);
  void check_space(std::span<const CheckpointFile> contents) const;
  void write_all(const std::string& folder, std::int64_t step,
                 std::span<const CheckpointFile> contents);
  void put_in_place(const std::string& temporary, std::int64_t step);
  void rotate(std::int64_t newest);
  void discard(const std::string& name);
  std::string temporary_name(std::string_view purpose) const;

  FileSystem& files_;
  std::string folder_;
  int keep_last_;
};

}  // namespace lathe
