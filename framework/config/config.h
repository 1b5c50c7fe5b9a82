// A piece of an experiment's configuration (a table, a list or a value) that knows where it was
// written. Immutable and cheap to copy: a handle on a shared node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

struct Schema;

// Where a value comes from: a place in a file, "command line", or "default".
struct Origin {
  std::string file = "default";
  int line = 0;  // from 1; 0 where the origin has no lines (a default, the command line)
  int column = 0;

  std::string where() const;  // "exp.toml:41:3", "command line", "default"
};

class Config {
 public:
  enum class Type { table, list, text, integer, number, boolean };
  struct Member;  // of a table: { key, value }, in the order in which they were written

  Config();  // an empty table
  static Config table(std::vector<Member> members, Origin origin = {});
  static Config list(std::vector<Config> items, Origin origin = {});
  static Config text(std::string value, Origin origin = {});
  static Config integer(std::int64_t value, Origin origin = {});
  static Config number(double value, Origin origin = {});
  static Config boolean(bool value, Origin origin = {});
  // A table whose readers (see Keys) note what they would read in `schema`, which must outlive it.
  static Config describing(Schema& schema);

  Type type() const;
  bool is_table() const { return type() == Type::table; }
  bool is_list() const { return type() == Type::list; }
  const Origin& origin() const;
  std::string where() const { return origin().where(); }
  const std::string& path() const;  // "objective.clip", "reward.0.price"; "" at the root

  // Tables and lists. A path is dotted; parts with dots are quoted: sweep.axis."optimizer.lr";
  // items of lists are reached by their number: reward.0.price.
  bool has(std::string_view path) const { return find(path).has_value(); }
  std::optional<Config> find(std::string_view path) const;
  Config at(std::string_view path) const;      // Error when absent
  const std::vector<Member>& members() const;  // Error when not a table
  const std::vector<Config>& items() const;    // Error when not a list

  // The value as bool, int, int64_t, float, double, string or a vector of int64_t, double, string.
  // An integer is taken where a number is asked for, never the reverse; a value outside the range
  // of T is an Error. Marks the value as read.
  template <class T>
  T as() const;
  template <class T>
  T get(std::string_view path, T fallback) const {
    const std::optional<Config> found = find(path);
    return found ? found->as<T>() : fallback;
  }

  // Changed copies. `with` makes the tables on the way; a path that ends in or leads through a
  // value is an Error. `without` ignores what is absent.
  Config with(std::string_view path, const Config& value) const;
  Config without(std::string_view path) const;
  Config placed(std::string path, Origin origin) const;  // the same values at another place
  Config rooted(std::string path) const;                 // the same tree, its paths made anew

  void mark_read() const;                   // this value and all below it
  std::vector<std::string> unread() const;  // paths of the values that nobody has read

  // TOML that reads back equal; keys in their order, tables after values. With origins, each line
  // ends in "# file:line".
  std::string to_toml() const;
  std::string to_toml_with_origins() const;
  // For hashing: keys sorted, no white space, numbers in their shortest form (1.0 is 1).
  std::string to_json() const;
  // One line for messages and tables: 0.1, "text", [1, 2], { a = 1 }.
  std::string to_text() const;

  bool operator==(const Config& other) const;  // equal values, wherever they were written
  Schema* described() const;                   // of `describing`, else nullptr

 private:
  struct Value;
  struct Node;
  static Config made(Value value, Origin origin, std::string path = {});
  explicit Config(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

struct Config::Member {
  std::string key;
  Config value;

  bool operator==(const Member& other) const = default;
};

// "a table", "the string \"abc\"", "the integer 3": how messages name what was found.
std::string described_value(const Config& value);
// The parts of a dotted path, and the way back: a."b.c" <-> {"a", "b.c"}.
std::vector<std::string> split_path(std::string_view path);
std::string join_path(std::string_view parent, std::string_view key);

}  // namespace lathe
