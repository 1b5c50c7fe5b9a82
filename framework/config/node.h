// What a Config is a handle on. Private to the room.
#pragma once

#include <lathe/config/config.h>

#include <atomic>

namespace lathe {

// One of the values holds, as `type` says. (A std::variant here makes g++ 12 warn of members that
// it believes uninitialised.)
struct Config::Value {
  Type type = Type::table;
  std::vector<Member> members = {};
  std::vector<Config> items = {};
  std::string text = {};
  std::int64_t integer = 0;
  double number = 0.0;
  bool boolean = false;
};

struct Config::Node {
  Value value;
  Origin origin;
  std::string path = {};
  Schema* described = nullptr;
  mutable std::atomic<bool> read = false;
};

}  // namespace lathe
