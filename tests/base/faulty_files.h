// A file system in memory that fails on request and forgets, at a crash, whatever was not synced.
#pragma once

#include <lathe/base/file.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lathe::testing {

// Every call that changes or syncs something counts as one operation; operation `fail_at` (from 1)
// fails with `error`, and each one after it too if `persistent`. With `short_write`, a write at
// that number takes half of its bytes instead of failing.
//
// The model of a crash: the content of a file is what its last sync() saw, and the entries of a
// folder are what its last sync_folder() saw; the rest is lost (or, with a chance given to
// crash(), kept or torn, because a kernel may also write early). To crash before operation n, let n
// fail persistently, so that nothing changes any more, and then call crash().
class FaultyFiles final : public FileSystem {
 public:
  int fail_at = 0;
  int error = EIO;
  bool persistent = false;
  bool short_write = false;
  std::int64_t space = 1 << 30;
  int operations = 0;

  // Ends all open files and drops what was not synced. `keep` is asked for every unsynced change:
  // false drops it. Unsynced content that is kept is torn in half.
  void crash(const std::function<bool()>& keep = [] { return false; }) {
    for (auto& [id, inode] : inodes_) {
      if (inode.now == inode.synced) continue;
      inode.now = keep() ? inode.now.substr(0, inode.now.size() / 2) : inode.synced;
      inode.synced = inode.now;
    }
    std::map<std::string, int> entries;
    std::set<std::string> names;
    for (const auto& [path, id] : entries_) names.insert(path);
    for (const auto& [path, id] : durable_) names.insert(path);
    for (const std::string& path : names) {
      const auto now = entries_.find(path);
      const auto then = durable_.find(path);
      const bool same =
          now != entries_.end() && then != durable_.end() && now->second == then->second;
      const bool new_one = same || keep();
      const auto& from = new_one ? now : then;
      if (from != (new_one ? entries_.end() : durable_.end())) entries.insert(*from);
    }
    // An entry whose folder did not survive is out of reach.
    std::erase_if(entries, [&](const auto& entry) {
      const std::string folder = folder_of(entry.first);
      return folder != "." && folder != "/" && !entries.contains(folder);
    });
    entries_ = entries;
    durable_ = entries;
    open_.clear();
    fail_at = operations = 0;
  }

  std::string content(const std::string& path) const { return inodes_.at(entries_.at(path)).now; }
  void set_content(const std::string& path, std::string text) {
    Inode& inode = inodes_.at(entries_.at(path));
    inode.now = inode.synced = std::move(text);
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [path, id] : entries_) all.push_back(path);
    return all;
  }

  int open(const std::string& path, OpenFor purpose) override {
    const auto found = entries_.find(path);
    if (purpose == OpenFor::reading) {
      if (found == entries_.end()) return -ENOENT;
      if (inodes_.at(found->second).folder) return -EISDIR;
    } else {
      if (const int trouble = operation()) return trouble;
      if (found == entries_.end()) {
        if (!folder_exists(folder_of(path))) return -ENOENT;
        entries_[path] = make_inode(false);
      } else if (purpose == OpenFor::writing) {
        inodes_.at(found->second).now.clear();
      }
    }
    open_[next_] = {entries_.at(path), 0};
    return next_++;
  }
  std::int64_t read(int file, std::span<std::byte> into) override {
    Open& one = open_.at(file);
    const std::string& text = inodes_.at(one.inode).now;
    const std::size_t count = std::min(into.size(), text.size() - std::min(one.at, text.size()));
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()) + one.at, count, into.data());
    one.at += count;
    return static_cast<std::int64_t>(count);
  }
  std::int64_t write(int file, std::span<const std::byte> bytes) override {
    const int trouble = operation();
    if (trouble != 0 && !short_write) return trouble;
    const std::size_t count = trouble != 0 ? (bytes.size() + 1) / 2 : bytes.size();
    inodes_.at(open_.at(file).inode).now.append(reinterpret_cast<const char*>(bytes.data()), count);
    return static_cast<std::int64_t>(count);
  }
  int sync(int file) override {
    if (const int trouble = operation()) return trouble;
    Inode& inode = inodes_.at(open_.at(file).inode);
    inode.synced = inode.now;
    return 0;
  }
  int close(int file) override {
    open_.erase(file);
    return operation();
  }
  int truncate(const std::string& path, std::uint64_t size) override {
    if (const int trouble = operation()) return trouble;
    const auto found = entries_.find(path);
    if (found == entries_.end()) return -ENOENT;
    inodes_.at(found->second).now.resize(size);
    return 0;
  }
  int rename(const std::string& from, const std::string& to) override {
    if (const int trouble = operation()) return trouble;
    if (!entries_.contains(from)) return -ENOENT;
    const bool folder = inodes_.at(entries_.at(from)).folder;
    if (folder && entries_.contains(to) && !children(to).empty()) return -ENOTEMPTY;
    // Entries below a renamed folder keep their durability: the folder itself moved.
    for (auto* const table : {&entries_, &durable_}) {
      std::map<std::string, int> moved;
      for (const auto& [path, id] : *table) {
        const bool below = path.starts_with(from + "/");
        if (table == &entries_ && path == from) {
          moved[to] = id;
        } else if (below) {
          moved[to + path.substr(from.size())] = id;
          if (table == &durable_) moved[path] = id;  // until the parent is synced
        } else if (!(table == &entries_ && path == to)) {
          moved[path] = id;
        }
      }
      *table = moved;
    }
    return 0;
  }
  int remove_file(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    return entries_.erase(path) == 1 ? 0 : -ENOENT;
  }
  int make_folder(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    if (entries_.contains(path)) return -EEXIST;
    if (!folder_exists(folder_of(path))) return -ENOENT;
    entries_[path] = make_inode(true);
    return 0;
  }
  int remove_folder(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    if (!children(path).empty()) return -ENOTEMPTY;
    return entries_.erase(path) == 1 ? 0 : -ENOENT;
  }
  int sync_folder(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    std::erase_if(durable_, [&](const auto& e) { return folder_of(e.first) == path; });
    for (const auto& [name, id] : entries_) {
      if (folder_of(name) == path) durable_[name] = id;
    }
    return 0;
  }
  int list(const std::string& path, std::vector<std::string>& names) override {
    if (!folder_exists(path)) return -ENOENT;
    for (const std::string& child : children(path)) {
      names.push_back(child.substr(child.rfind('/') + 1));
    }
    return 0;
  }
  int status(const std::string& path, FileStatus& status) override {
    status = {};
    if (path == "." || path == "/") {
      status.is_folder = true;
      return 0;
    }
    const auto found = entries_.find(path);
    if (found == entries_.end()) return -ENOENT;
    status.is_folder = inodes_.at(found->second).folder;
    status.size = inodes_.at(found->second).now.size();
    return 0;
  }
  std::int64_t free_space(const std::string&) override { return space; }

 private:
  struct Inode {
    bool folder = false;
    std::string now, synced;
  };
  struct Open {
    int inode = 0;
    std::size_t at = 0;
  };

  int operation() {
    ++operations;
    const bool hit =
        fail_at != 0 && (operations == fail_at || (persistent && operations > fail_at));
    return hit ? -error : 0;
  }
  int make_inode(bool folder) {
    inodes_[next_].folder = folder;
    return next_++;
  }
  bool folder_exists(const std::string& path) const {
    if (path == "." || path == "/") return true;
    const auto found = entries_.find(path);
    return found != entries_.end() && inodes_.at(found->second).folder;
  }
  std::vector<std::string> children(const std::string& path) const {
    std::vector<std::string> all;
    for (const auto& [name, id] : entries_) {
      if (name != path && folder_of(name) == path) all.push_back(name);
    }
    return all;
  }

  std::map<int, Inode> inodes_;
  std::map<std::string, int> entries_, durable_;
  std::map<int, Open> open_;
  int next_ = 1;
};

}  // namespace lathe::testing
