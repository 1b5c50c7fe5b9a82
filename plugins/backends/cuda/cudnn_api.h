// The part of cuDNN's backend interface (version 9) that attention needs, looked up when it is
// first wanted: the plugin is built without cuDNN and works on machines without it. The numbers are
// those of cudnn_graph_v9.h, which tests/cuda compares them with where it is installed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lathe::cuda::cudnn {

enum class Kind : int {  // cudnnBackendDescriptorType_t
  pointwise = 0,
  engine_config = 3,
  heuristics = 4,
  plan = 5,
  operation_pointwise = 13,
  operation_graph = 15,
  variant_pack = 16,
  tensor = 17,
  matmul = 18,
  operation_matmul = 19,
  reduction = 21,
  operation_reduction = 22,
  operation_reshape = 31,
  device_properties = 38,
};

enum class Attribute : int {  // cudnnBackendAttributeName_t
  pointwise_mode = 0,
  pointwise_math = 1,
  pointwise_axis = 9,
  heuristics_mode = 200,
  heuristics_graph = 201,
  heuristics_results = 202,
  heuristics_device = 204,
  plan_handle = 400,
  plan_config = 401,
  plan_workspace = 402,
  operation_pointwise = 750,
  operation_pointwise_x = 751,
  operation_pointwise_b = 752,
  operation_pointwise_y = 753,
  operation_pointwise_t = 758,
  graph_handle = 800,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_type = 901,
  tensor_dimensions = 902,
  tensor_strides = 903,
  tensor_id = 906,
  tensor_virtual = 907,
  tensor_by_value = 908,
  pack_ids = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  matmul_math = 1500,
  operation_matmul_a = 1520,
  operation_matmul_b = 1521,
  operation_matmul_c = 1522,
  operation_matmul = 1523,
  reduction_operator = 1600,
  reduction_math = 1601,
  operation_reduction_x = 1610,
  operation_reduction_y = 1611,
  operation_reduction = 1612,
  operation_reshape_x = 2200,
  operation_reshape_y = 2201,
  device_json = 2702,
};

enum class Type : int {  // cudnnBackendAttributeType_t
  handle = 0,
  data_type = 1,
  boolean = 2,
  int64 = 3,
  void_pointer = 6,
  heuristics_mode = 8,
  pointwise_mode = 14,
  descriptor = 15,
  reduction_operator = 18,
  character = 24,
};

enum class Data : int { f32 = 0, i32 = 4, bf16 = 9, boolean = 11 };  // cudnnDataType_t
enum class Point : int {                                             // cudnnPointwiseMode_t
  add = 0,
  multiply = 1,
  divide = 6,
  subtract = 9,
  exp = 13,
  log = 15,
  identity = 21,
  greater_or_equal = 303,
  index = 501,
  select = 601,
};
enum class Fold : int { add = 0, maximum = 3 };  // cudnnReduceTensorOp_t
inline constexpr int heuristics_mode_a = 3;

// The functions, or why they are not there.
struct Library {
  int (*create)(void** handle) = nullptr;
  int (*destroy)(void* handle) = nullptr;
  int (*set_stream)(void* handle, void* stream) = nullptr;
  std::size_t (*version)() = nullptr;
  const char* (*error_text)(int status) = nullptr;
  void (*last_error)(char* text, std::size_t size) = nullptr;
  int (*create_descriptor)(int kind, void** descriptor) = nullptr;
  int (*destroy_descriptor)(void* descriptor) = nullptr;
  int (*set_attribute)(void* descriptor, int name, int type, std::int64_t count,
                       const void* values) = nullptr;
  int (*get_attribute)(void* descriptor, int name, int type, std::int64_t room, std::int64_t* count,
                       void* values) = nullptr;
  int (*finalise)(void* descriptor) = nullptr;
  int (*execute)(void* handle, void* plan, void* pack) = nullptr;

  std::string missing;  // empty when the functions are there

  explicit operator bool() const { return missing.empty(); }
};

// libcudnn.so.9 from the loader's path; LATHE_CUDNN names another file. Looked up once.
const Library& library();

// Fails with cuDNN's own words where status is not 0.
void check(int status, const char* doing);

}  // namespace lathe::cuda::cudnn
