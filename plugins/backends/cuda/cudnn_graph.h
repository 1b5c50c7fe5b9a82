// A graph of cuDNN operations made of raw descriptors, and a plan that runs one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cudnn_api.h"

namespace lathe::cuda::cudnn {

// Owns one backend descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(Kind kind);
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor();

  void* raw() const { return raw_; }
  void set(Attribute name, Type type, std::int64_t count, const void* values);
  void set(Attribute name, Type type, std::int64_t value) { set(name, type, 1, &value); }
  void set(Attribute name, Type type, const std::vector<std::int64_t>& values) {
    set(name, type, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(Attribute name, const Descriptor& value);
  // Any of cuDNN's enumerations, which are ints.
  template <class Enumeration>
  void choose(Attribute name, Type type, Enumeration value) {
    const int number = static_cast<int>(value);
    set(name, type, 1, &number);
  }
  void finalise(const char* what);

 private:
  void* raw_ = nullptr;
};

// A tensor of a graph: its place among the graph's tensors.
using Node = std::size_t;
using Extents = std::vector<std::int64_t>;  // four of them

class Graph {
 public:
  // A tensor in memory, filled or read under this id.
  Node memory(std::int64_t id, Data type, const Extents& extents, const Extents& strides);
  // A scalar that is given by value at each execution.
  Node scalar(std::int64_t id, Data type = Data::f32);
  // A tensor between operations that never reaches memory, row-major.
  Node between(Data type, const Extents& extents);
  Node between(Data type, const Extents& extents, const Extents& strides);

  void point(Point mode, Node x, Node y);
  void point(Point mode, Node x, Node b, Node y);
  Node point(Point mode, Node x);               // f32, shaped like x
  Node point_with(Point mode, Node x, Node b);  // f32, shaped like x
  Node index(Node like, std::int64_t axis);
  Node greater_or_equal(Node a, Node b);
  Node select(Node x, Node other, Node condition);  // condition ? x : other
  void product(Node a, Node b, Node c);
  void fold(Fold how, Node x, Node y);
  void reshape(Node x, Node y);

  std::size_t operations() const { return operations_.size(); }
  const Extents& extents(Node node) const { return extents_[node]; }
  // The finished graph; on the handle's device, or on none with nullptr.
  Descriptor finished(void* handle) const;

 private:
  struct Part {
    Attribute name;
    Node tensor;
  };
  Node tensor(std::int64_t id, Data type, const Extents& extents, const Extents& strides,
              bool is_virtual, bool by_value);
  void operation(Kind kind, Attribute role, Descriptor&& mode, const std::vector<Part>& parts);

  std::vector<Descriptor> tensors_;
  std::vector<Extents> extents_;
  std::vector<Descriptor> modes_;
  std::vector<Descriptor> operations_;
  std::int64_t next_virtual_ = 1000;
};

// The engine configurations that cuDNN's heuristics offer for a finished graph, best first. A
// device is described by JSON (see tests/cuda) where there is none at hand.
std::vector<Descriptor> engine_configurations(const Descriptor& graph,
                                              const std::string& device_json = "");
// The first configuration that can be built, ready to run.
class Plan {
 public:
  // Without any that can be built, the plan stays false.
  Plan(const Graph& graph, void* handle);
  explicit operator bool() const { return plan_.raw() != nullptr; }
  std::size_t workspace() const { return workspace_; }
  void run(void* handle, const std::vector<std::pair<std::int64_t, void*>>& tensors,
           void* workspace) const;

 private:
  Descriptor graph_;
  Descriptor plan_;
  std::size_t workspace_ = 0;
};

}  // namespace lathe::cuda::cudnn
