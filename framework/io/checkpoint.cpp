#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint.h>
#include <lathe/io/checkpoint_manifest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace lathe {
namespace {

constexpr std::string_view temporary_prefix = "tmp.";
constexpr std::string_view best_name = "best.json";

bool verifies(FileSystem& files, const std::string& path) {
  try {
    verify_checkpoint(files, path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// For tidying up, whose failure must not hide or replace what matters.
template <class Action>
void attempt(Action action) {
  try {
    action();
  } catch (const Error& problem) {
    log_warning("checkpoints: ", problem.what());
  }
}

CheckpointManifest::Item write_item(FileSystem& files, const std::string& folder,
                                    const CheckpointFile& content) {
  File file(files, join(folder, content.name), OpenFor::writing);
  Sha256 hash;
  content.produce([&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    file.write(bytes);
  });
  if (file.written() != content.size) {
    fail(file.path(), ": ", file.written(), " bytes were produced, but ", content.size,
         " were announced");
  }
  file.sync();
  file.close();
  return {content.name, content.size, hash.hex()};
}

}  // namespace

CheckpointFile CheckpointFile::view(std::string name, std::span<const std::byte> bytes) {
  return {std::move(name), bytes.size(), [bytes](const ByteSink& sink) { sink(bytes); }};
}

CheckpointFile CheckpointFile::text(std::string name, std::string text) {
  const std::uint64_t size = text.size();
  return {std::move(name), size,
          [text = std::move(text)](const ByteSink& sink) { sink(std::as_bytes(std::span(text))); }};
}

Checkpoints::Checkpoints(FileSystem& files, std::string folder, int keep_last)
    : files_(files), folder_(std::move(folder)), keep_last_(keep_last) {
  if (keep_last < 1) fail("checkpoints: keep_last is ", keep_last, "; expected at least 1");
  make_folders(files_, folder_);
  recover();
}

void Checkpoints::recover() {
  for (const std::string& name : list_folder(files_, folder_)) {
    const std::string path = join(folder_, name);
    if (name.starts_with(temporary_prefix) || name.starts_with(cat(best_name, ".tmp."))) {
      attempt([&] { remove_all(files_, path); });
      continue;
    }
    const auto parsed = detail::parse_checkpoint_name(name);
    if (!parsed || !parsed->old) continue;
    attempt([&] { settle(name, parsed->step); });
  }
}

// Of an interrupted replacement, the new one stays if it is whole, else the old one returns.
void Checkpoints::settle(const std::string& old_name, std::int64_t step) {
  const std::string old = join(folder_, old_name), path = path_of(step);
  if (exists(files_, path)) {
    if (verifies(files_, path)) return discard(old_name);
    if (!verifies(files_, old)) return;  // left for people to look at
    discard(detail::checkpoint_name(step));
  }
  rename_path(files_, old, path);
  sync_folder(files_, folder_);
}

std::string Checkpoints::save(std::int64_t step, std::span<const CheckpointFile> contents) {
  if (step < 0) fail("checkpoints: step ", step, " is negative");
  std::set<std::string> names{std::string(detail::manifest_name)};
  for (const CheckpointFile& content : contents) {
    if (!names.insert(checked_name(content.name, "checkpoint")).second) {
      fail("checkpoint: the file name ", content.name, " is reserved or used twice");
    }
  }
  check_space(contents);
  const std::string temporary = join(folder_, temporary_name(cat(step)));
  try {
    remove_all(files_, temporary);  // of an earlier failed attempt
    write_all(temporary, step, contents);
    put_in_place(temporary, step);
  } catch (...) {
    attempt([&] { remove_all(files_, temporary); });
    throw;
  }
  const std::string path = path_of(step);
  verify_checkpoint(files_, path);
  attempt([&] {
    discard(cat(detail::checkpoint_name(step), detail::old_suffix));
    rotate(step);
  });
  return path;
}

void Checkpoints::check_space(std::span<const CheckpointFile> contents) const {
  std::uint64_t needed = 4096;  // the manifest
  for (const CheckpointFile& content : contents) needed += content.size + 4096;
  needed += needed / 10;
  const std::int64_t free = files_.free_space(folder_);
  if (free >= 0 && static_cast<std::uint64_t>(free) < needed) {
    fail("no room for a checkpoint in ", folder_, ": ", needed,
         " bytes needed (a tenth to spare), ", free,
         " bytes free; make room or set a smaller number of checkpoints to keep");
  }
}

void Checkpoints::write_all(const std::string& folder, std::int64_t step,
                            std::span<const CheckpointFile> contents) {
  make_folders(files_, folder);
  CheckpointManifest manifest;
  manifest.step = step;
  for (const CheckpointFile& content : contents) {
    manifest.files.push_back(write_item(files_, folder, content));
  }
  write_item(
      files_, folder,
      CheckpointFile::text(std::string(detail::manifest_name), detail::manifest_text(manifest)));
  sync_folder(files_, folder);
}

// A folder cannot be renamed over a full one, so a checkpoint of the same step first steps aside
// under a name that find_newest_verified() also accepts; a damaged one goes for good.
void Checkpoints::put_in_place(const std::string& temporary, std::int64_t step) {
  const std::string path = path_of(step);
  if (exists(files_, path)) {
    if (verifies(files_, path)) {
      const std::string aside = path + std::string(detail::old_suffix);
      discard(cat(detail::checkpoint_name(step), detail::old_suffix));
      rename_path(files_, path, aside);
      try {
        rename_path(files_, temporary, path);
      } catch (...) {
        attempt([&] { rename_path(files_, aside, path); });
        throw;
      }
    } else {
      rename_path(files_, path, join(folder_, temporary_name(cat("damaged.", step))));
      rename_path(files_, temporary, path);
    }
  } else {
    rename_path(files_, temporary, path);
  }
  sync_folder(files_, folder_);
}

void Checkpoints::rotate(std::int64_t newest) {
  const std::optional<std::int64_t> spared = best();
  std::vector<std::int64_t> all = steps();
  std::erase_if(all, [&](std::int64_t step) { return step > newest; });
  int kept = 0;
  for (auto step = all.rbegin(); step != all.rend(); ++step) {
    if (kept < keep_last_) {
      ++kept;
    } else if (*step != spared) {
      discard(detail::checkpoint_name(*step));
    }
  }
}

// Renamed first, so that a half-deleted checkpoint never bears the name of a whole one.
void Checkpoints::discard(const std::string& name) {
  const std::string path = join(folder_, name);
  if (!exists(files_, path)) return;
  const std::string doomed = join(folder_, temporary_name(cat("removed.", name)));
  rename_path(files_, path, doomed);
  sync_folder(files_, folder_);
  remove_all(files_, doomed);
}

void Checkpoints::mark_best(std::int64_t step) {
  if (!exists(files_, path_of(step))) fail("checkpoints: no step ", step, " in ", folder_);
  write_durably(files_, join(folder_, best_name), Json{{"step", step}}.dump() + "\n");
}

std::optional<std::int64_t> Checkpoints::best() const {
  const std::string path = join(folder_, best_name);
  if (!exists(files_, path)) return std::nullopt;
  const Json json = parse_json(read_file(files_, path, 4096), path);
  const auto step = json.is_object() ? json.find("step") : json.end();
  if (step == json.end() || !step->is_number_unsigned())
    fail(path, ": expected {\"step\": number}");
  return step->get<std::int64_t>();
}

void Checkpoints::discard_after(std::int64_t step) {
  for (const std::string& name : list_folder(files_, folder_)) {
    const auto parsed = detail::parse_checkpoint_name(name);
    if (parsed && parsed->step > step) discard(name);
  }
}

std::vector<std::int64_t> Checkpoints::steps() const {
  std::vector<std::int64_t> all;
  for (const std::string& name : list_folder(files_, folder_)) {
    const auto parsed = detail::parse_checkpoint_name(name);
    if (parsed && !parsed->old) all.push_back(parsed->step);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string Checkpoints::path_of(std::int64_t step) const {
  return join(folder_, detail::checkpoint_name(step));
}

std::string Checkpoints::temporary_name(std::string_view purpose) const {
  return cat(temporary_prefix, purpose, ".", ::getpid());
}

}  // namespace lathe
