// A file system in memory that fails on request and forgets, at a crash, whatever was not synced.
#pragma once

#include <lathe/base/file.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lathe::testing {

// Every call that changes or syncs something counts as one operation. Operation `fail_at` (from 1)
// fails with `error`, and each one after it too if `persistent`; with `short_write`, a write takes
// half of its bytes instead of failing.
//
// The model of a crash: a file holds what its last sync() saw, or anything between that and its
// last content; a folder holds the entries its last sync_folder() saw, or those after any later
// change to it (file systems with a journal keep the order within a folder, and a rename within a
// folder is one change). To crash before operation n, let n fail persistently, so that nothing
// changes any more, and then call crash().
class FaultyFiles final : public FileSystem {
 public:
  int fail_at = 0;
  int error = EIO;
  bool persistent = false;
  bool short_write = false;
  std::int64_t space = 1 << 30;
  int operations = 0;

  FaultyFiles() { nodes_[root].folder = true; }

  // `choose(n)` picks one of n possible outcomes for each file and folder; 0 is what was synced.
  using Choose = std::function<std::size_t(std::size_t)>;
  void crash(const Choose& choose = [](std::size_t) { return std::size_t{0}; }) {
    for (auto& [id, node] : nodes_) {
      if (node.folder) {
        node.entries = node.past[choose(node.past.size())];
        node.past = {node.entries};
      } else if (node.content != node.synced) {
        const std::size_t outcome = choose(3);
        if (outcome == 0) node.content = node.synced;
        if (outcome == 1) node.content.resize(node.content.size() / 2);  // torn
        node.synced = node.content;
      }
    }
    open_.clear();
    fail_at = operations = 0;
    persistent = false;
  }

  const std::string& content(const std::string& path) const { return nodes_.at(at(path)).content; }
  void set_content(const std::string& path, std::string text) {
    Node& node = nodes_.at(at(path));
    node.content = node.synced = std::move(text);
  }
  // Every file and folder, sorted.
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    collect(root, "", all);
    return all;
  }

  int open(const std::string& path, OpenFor purpose) override {
    int node = find(path);
    if (purpose == OpenFor::reading) {
      if (node == 0) return -ENOENT;
      if (nodes_.at(node).folder) return -EISDIR;
    } else {
      if (const int trouble = operation()) return trouble;
      if (node == 0) {
        if (!is_folder(folder_of(path))) return -ENOENT;
        node = next_++;
        nodes_[node].past.clear();
        change(folder_of(path), [&](Entries& entries) { entries[name_of(path)] = node; });
      } else if (purpose == OpenFor::writing) {
        nodes_.at(node).content.clear();
      }
    }
    open_[next_] = {node, 0};
    return next_++;
  }
  std::int64_t read(int file, std::span<std::byte> into) override {
    Open& one = open_.at(file);
    const std::string& text = nodes_.at(one.node).content;
    const std::size_t count = std::min(into.size(), text.size() - std::min(one.at, text.size()));
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()) + one.at, count, into.data());
    one.at += count;
    return static_cast<std::int64_t>(count);
  }
  std::int64_t write(int file, std::span<const std::byte> bytes) override {
    const int trouble = operation();
    if (trouble != 0 && !short_write) return trouble;
    const std::size_t count = trouble != 0 ? (bytes.size() + 1) / 2 : bytes.size();
    const auto* const text = reinterpret_cast<const char*>(bytes.data());
    nodes_.at(open_.at(file).node).content.append(text, count);
    return static_cast<std::int64_t>(count);
  }
  int sync(int file) override {
    if (const int trouble = operation()) return trouble;
    Node& node = nodes_.at(open_.at(file).node);
    node.synced = node.content;
    return 0;
  }
  int close(int file) override {
    open_.erase(file);
    return operation();
  }
  int truncate(const std::string& path, std::uint64_t size) override {
    if (const int trouble = operation()) return trouble;
    const int node = find(path);
    if (node == 0) return -ENOENT;
    nodes_.at(node).content.resize(size);
    return 0;
  }
  int rename(const std::string& from, const std::string& to) override {
    if (const int trouble = operation()) return trouble;
    if (folder_of(from) != folder_of(to)) return -EXDEV;  // not needed here
    const int node = find(from), target = find(to);
    if (node == 0) return -ENOENT;
    if (target != 0 && !nodes_.at(target).entries.empty()) return -ENOTEMPTY;
    change(folder_of(from), [&](Entries& entries) {
      entries.erase(name_of(from));
      entries[name_of(to)] = node;
    });
    return 0;
  }
  int remove_file(const std::string& path) override { return remove(path, false); }
  int remove_folder(const std::string& path) override { return remove(path, true); }
  int make_folder(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    if (find(path) != 0) return -EEXIST;
    if (!is_folder(folder_of(path))) return -ENOENT;
    nodes_[next_].folder = true;
    change(folder_of(path), [&](Entries& entries) { entries[name_of(path)] = next_; });
    ++next_;
    return 0;
  }
  int sync_folder(const std::string& path) override {
    if (const int trouble = operation()) return trouble;
    if (!is_folder(path)) return -ENOENT;
    Node& node = nodes_.at(at(path));
    node.past = {node.entries};
    return 0;
  }
  int list(const std::string& path, std::vector<std::string>& names) override {
    if (!is_folder(path)) return -ENOENT;
    for (const auto& [name, id] : nodes_.at(at(path)).entries) names.push_back(name);
    return 0;
  }
  int status(const std::string& path, FileStatus& status) override {
    const int node = find(path);
    if (node == 0) return -ENOENT;
    status = {};
    status.is_folder = nodes_.at(node).folder;
    status.size = nodes_.at(node).content.size();
    return 0;
  }
  std::int64_t free_space(const std::string&) override { return space; }

 private:
  using Entries = std::map<std::string, int>;
  struct Node {
    bool folder = false;
    std::string content, synced;           // of a file
    Entries entries;                       // of a folder
    std::vector<Entries> past{Entries()};  // since its last sync, that state first
  };
  struct Open {
    int node = 0;
    std::size_t at = 0;
  };
  static constexpr int root = 1;

  int operation() {
    ++operations;
    const bool hit =
        fail_at != 0 && (operations == fail_at || (persistent && operations > fail_at));
    return hit ? -error : 0;
  }
  static std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  // 0 where there is none.
  int find(const std::string& path) const {
    if (path == "." || path == "/") return root;
    const int folder = find(folder_of(path));
    if (folder == 0) return 0;
    const Entries& entries = nodes_.at(folder).entries;
    const auto found = entries.find(name_of(path));
    return found == entries.end() ? 0 : found->second;
  }
  int at(const std::string& path) const {
    const int node = find(path);
    if (node == 0) throw std::out_of_range("no " + path);
    return node;
  }
  bool is_folder(const std::string& path) const {
    const int node = find(path);
    return node != 0 && nodes_.at(node).folder;
  }
  template <class Change>
  void change(const std::string& folder, Change apply) {
    Node& node = nodes_.at(at(folder));
    apply(node.entries);
    node.past.push_back(node.entries);
  }
  int remove(const std::string& path, bool folder) {
    if (const int trouble = operation()) return trouble;
    const int node = find(path);
    if (node == 0) return -ENOENT;
    if (nodes_.at(node).folder != folder) return folder ? -ENOTDIR : -EISDIR;
    if (!nodes_.at(node).entries.empty()) return -ENOTEMPTY;
    change(folder_of(path), [&](Entries& entries) { entries.erase(name_of(path)); });
    return 0;
  }
  void collect(int node, const std::string& prefix, std::vector<std::string>& all) const {
    for (const auto& [name, id] : nodes_.at(node).entries) {
      all.push_back(prefix + name);
      collect(id, prefix + name + "/", all);
    }
  }

  std::map<int, Node> nodes_;
  std::map<int, Open> open_;
  int next_ = root + 1;
};

}  // namespace lathe::testing
