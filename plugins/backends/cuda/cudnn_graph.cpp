// Raw descriptors: what cuDNN's C++ frontend would write, for the operations that attention needs.
#include "cudnn_graph.h"

#include <lathe/base/error.h>

namespace lathe::cuda::cudnn {
namespace {
constexpr std::int64_t most_configurations = 16;

Extents row_major(const Extents& extents) {
  Extents strides(extents.size());
  std::int64_t step = 1;
  for (std::size_t axis = extents.size(); axis-- > 0;) {
    strides[axis] = step;
    step *= extents[axis];
  }
  return strides;
}
}  // namespace

Descriptor::Descriptor(Kind kind) {
  check(library().create_descriptor(static_cast<int>(kind), &raw_), "creating a descriptor");
}
Descriptor::~Descriptor() {
  if (raw_ != nullptr) library().destroy_descriptor(raw_);
}

void Descriptor::set(Attribute name, Type type, std::int64_t count, const void* values) {
  check(
      library().set_attribute(raw_, static_cast<int>(name), static_cast<int>(type), count, values),
      "setting an attribute");
}
void Descriptor::set(Attribute name, const Descriptor& value) {
  void* const other = value.raw();
  set(name, Type::descriptor, 1, &other);
}
void Descriptor::finalise(const char* what) { check(library().finalise(raw_), what); }

Node Graph::tensor(std::int64_t id, Data type, const Extents& extents, const Extents& strides,
                   bool is_virtual, bool by_value) {
  Descriptor made(Kind::tensor);
  made.choose(Attribute::tensor_type, Type::data_type, type);
  made.set(Attribute::tensor_dimensions, Type::int64, extents);
  made.set(Attribute::tensor_strides, Type::int64, strides);
  made.set(Attribute::tensor_id, Type::int64, id);
  made.set(Attribute::tensor_alignment, Type::int64, 16);
  made.set(Attribute::tensor_virtual, Type::boolean, 1, &is_virtual);
  made.set(Attribute::tensor_by_value, Type::boolean, 1, &by_value);
  made.finalise("a tensor");
  tensors_.push_back(std::move(made));
  extents_.push_back(extents);
  return tensors_.size() - 1;
}

Node Graph::memory(std::int64_t id, Data type, const Extents& extents, const Extents& strides) {
  return tensor(id, type, extents, strides, false, false);
}
Node Graph::scalar(std::int64_t id, Data type) {
  return tensor(id, type, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true);
}
Node Graph::between(Data type, const Extents& extents) {
  return between(type, extents, row_major(extents));
}
Node Graph::between(Data type, const Extents& extents, const Extents& strides) {
  return tensor(next_virtual_++, type, extents, strides, true, false);
}

void Graph::operation(Kind kind, Attribute role, Descriptor&& mode,
                      const std::vector<Part>& parts) {
  Descriptor made(kind);
  if (mode.raw() != nullptr) {
    made.set(role, mode);
    modes_.push_back(std::move(mode));
  }
  for (const Part& part : parts) made.set(part.name, tensors_[part.tensor]);
  made.finalise("an operation");
  operations_.push_back(std::move(made));
}

namespace {
Descriptor point_mode(Point mode, Data math) {
  Descriptor made(Kind::pointwise);
  made.choose(Attribute::pointwise_mode, Type::pointwise_mode, mode);
  made.choose(Attribute::pointwise_math, Type::data_type, math);
  return made;
}
}  // namespace

void Graph::point(Point mode, Node x, Node y) {
  Descriptor how = point_mode(mode, Data::f32);
  how.finalise("a pointwise mode");
  operation(Kind::operation_pointwise, Attribute::operation_pointwise, std::move(how),
            {{Attribute::operation_pointwise_x, x}, {Attribute::operation_pointwise_y, y}});
}
void Graph::point(Point mode, Node x, Node b, Node y) {
  Descriptor how = point_mode(mode, Data::f32);
  how.finalise("a pointwise mode");
  operation(Kind::operation_pointwise, Attribute::operation_pointwise, std::move(how),
            {{Attribute::operation_pointwise_x, x},
             {Attribute::operation_pointwise_b, b},
             {Attribute::operation_pointwise_y, y}});
}
Node Graph::point(Point mode, Node x) {
  const Node y = between(Data::f32, extents_[x]);
  point(mode, x, y);
  return y;
}
Node Graph::point_with(Point mode, Node x, Node b) {
  const Node y = between(Data::f32, extents_[x]);
  point(mode, x, b, y);
  return y;
}
Node Graph::index(Node like, std::int64_t axis) {
  const Node y = between(Data::i32, extents_[like]);
  Descriptor how = point_mode(Point::index, Data::i32);
  how.set(Attribute::pointwise_axis, Type::int64, axis);
  how.finalise("an index mode");
  operation(Kind::operation_pointwise, Attribute::operation_pointwise, std::move(how),
            {{Attribute::operation_pointwise_x, like}, {Attribute::operation_pointwise_y, y}});
  return y;
}
Node Graph::greater_or_equal(Node a, Node b) {
  const Node y = between(Data::boolean, extents_[a]);
  Descriptor how = point_mode(Point::greater_or_equal, Data::boolean);
  how.finalise("a comparison");
  operation(Kind::operation_pointwise, Attribute::operation_pointwise, std::move(how),
            {{Attribute::operation_pointwise_x, a},
             {Attribute::operation_pointwise_b, b},
             {Attribute::operation_pointwise_y, y}});
  return y;
}
Node Graph::select(Node x, Node other, Node condition) {
  const Node y = between(Data::f32, extents_[x]);
  Descriptor how = point_mode(Point::select, Data::f32);
  how.finalise("a selection");
  operation(Kind::operation_pointwise, Attribute::operation_pointwise, std::move(how),
            {{Attribute::operation_pointwise_x, x},
             {Attribute::operation_pointwise_b, other},
             {Attribute::operation_pointwise_t, condition},
             {Attribute::operation_pointwise_y, y}});
  return y;
}

void Graph::product(Node a, Node b, Node c) {
  Descriptor how(Kind::matmul);
  how.choose(Attribute::matmul_math, Type::data_type, Data::f32);
  how.finalise("a product's mode");
  operation(Kind::operation_matmul, Attribute::operation_matmul, std::move(how),
            {{Attribute::operation_matmul_a, a},
             {Attribute::operation_matmul_b, b},
             {Attribute::operation_matmul_c, c}});
}
void Graph::fold(Fold mode, Node x, Node y) {
  Descriptor how(Kind::reduction);
  how.choose(Attribute::reduction_operator, Type::reduction_operator, mode);
  how.choose(Attribute::reduction_math, Type::data_type, Data::f32);
  how.finalise("a reduction's mode");
  operation(Kind::operation_reduction, Attribute::operation_reduction, std::move(how),
            {{Attribute::operation_reduction_x, x}, {Attribute::operation_reduction_y, y}});
}
void Graph::reshape(Node x, Node y) {
  operation(Kind::operation_reshape, {}, {},
            {{Attribute::operation_reshape_x, x}, {Attribute::operation_reshape_y, y}});
}

Descriptor Graph::finished(void* handle) const {
  Descriptor graph(Kind::operation_graph);
  if (handle != nullptr) graph.set(Attribute::graph_handle, Type::handle, 1, &handle);
  std::vector<void*> all;
  for (const Descriptor& operation : operations_) all.push_back(operation.raw());
  graph.set(Attribute::graph_operations, Type::descriptor, static_cast<std::int64_t>(all.size()),
            all.data());
  graph.finalise("a graph");
  return graph;
}

std::vector<Descriptor> engine_configurations(const Descriptor& graph,
                                              const std::string& device_json) {
  Descriptor heuristics(Kind::heuristics);
  heuristics.set(Attribute::heuristics_graph, graph);
  heuristics.choose(Attribute::heuristics_mode, Type::heuristics_mode, heuristics_mode_a);
  Descriptor device;
  if (!device_json.empty()) {
    device = Descriptor(Kind::device_properties);
    device.set(Attribute::device_json, Type::character,
               static_cast<std::int64_t>(device_json.size() + 1), device_json.c_str());
    device.finalise("a device's properties");
    heuristics.set(Attribute::heuristics_device, device);
  }
  // No engine is an answer and not an error.
  if (library().finalise(heuristics.raw()) != 0) return {};
  std::vector<Descriptor> found;
  std::vector<void*> raw;
  for (std::int64_t i = 0; i < most_configurations; ++i) {
    found.emplace_back(Kind::engine_config);
    raw.push_back(found.back().raw());
  }
  std::int64_t count = 0;
  const int status = library().get_attribute(
      heuristics.raw(), static_cast<int>(Attribute::heuristics_results),
      static_cast<int>(Type::descriptor), most_configurations, &count, raw.data());
  if (status != 0) count = 0;
  found.erase(found.begin() + static_cast<std::ptrdiff_t>(count), found.end());
  return found;
}

Plan::Plan(const Graph& graph, void* handle) : graph_(graph.finished(handle)) {
  for (const Descriptor& configuration : engine_configurations(graph_)) {
    Descriptor plan(Kind::plan);
    plan.set(Attribute::plan_handle, Type::handle, 1, &handle);
    plan.set(Attribute::plan_config, configuration);
    if (library().finalise(plan.raw()) != 0) continue;
    std::int64_t bytes = 0, count = 0;
    check(library().get_attribute(plan.raw(), static_cast<int>(Attribute::plan_workspace),
                                  static_cast<int>(Type::int64), 1, &count, &bytes),
          "asking for a plan's workspace");
    workspace_ = static_cast<std::size_t>(bytes);
    plan_ = std::move(plan);
    return;
  }
}

void Plan::run(void* handle, const std::vector<std::pair<std::int64_t, void*>>& tensors,
               void* workspace) const {
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const auto& [id, pointer] : tensors) {
    ids.push_back(id);
    pointers.push_back(pointer);
  }
  Descriptor pack(Kind::variant_pack);
  pack.set(Attribute::pack_ids, Type::int64, ids);
  pack.set(Attribute::pack_pointers, Type::void_pointer, static_cast<std::int64_t>(ids.size()),
           pointers.data());
  pack.set(Attribute::pack_workspace, Type::void_pointer, 1, &workspace);
  pack.finalise("a variant pack");
  check(library().execute(handle, plan_.raw(), pack.raw()), "running attention");
}

}  // namespace lathe::cuda::cudnn
