// What a component must keep to go on exactly where it stopped: named arrays of plain values, which
// a checkpoint stores as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lathe {

enum class StateType : std::uint8_t { u8, i32, i64, f32, f64 };

template <class T>
constexpr StateType state_type() {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    return StateType::u8;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return StateType::i32;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return StateType::i64;
  } else if constexpr (std::is_same_v<T, float>) {
    return StateType::f32;
  } else {
    static_assert(std::is_same_v<T, double>, "a state holds u8, i32, i64, f32 or f64");
    return StateType::f64;
  }
}

class State {
 public:
  struct Item {
    StateType type = StateType::u8;
    std::vector<std::byte> bytes;
  };

  // Under a name that is not in use yet.
  template <class T>
  void put(const std::string& name, const std::vector<T>& values) {
    put_bytes(name, state_type<T>(), std::as_bytes(std::span(values)));
  }
  void put(const std::string& name, std::int64_t value) { put(name, std::vector{value}); }
  void put(const std::string& name, double value) { put(name, std::vector{value}); }

  // Error when the name is missing or holds another type.
  template <class T>
  std::vector<T> get(const std::string& name) const {
    const std::vector<std::byte>& bytes = item(name, state_type<T>()).bytes;
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  // Of exactly one value.
  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;

  // Parts have names of their own: "part/name".
  void put(const std::string& part, const State& state);
  State part(const std::string& name) const;

  bool has(const std::string& name) const { return items_.contains(name); }
  void put_bytes(const std::string& name, StateType type, std::span<const std::byte> bytes);
  const std::map<std::string, Item>& items() const { return items_; }

 private:
  const Item& item(const std::string& name, StateType type) const;

  std::map<std::string, Item> items_;
};

}  // namespace lathe
