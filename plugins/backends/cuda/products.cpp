// cuBLASLt, opened when the backend is made: the plugin itself needs no CUDA library to load.
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <lathe/base/error.h>

#include <algorithm>
#include <bit>
#include <map>

#include "product.h"

namespace lathe::cuda {
namespace {
constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what Hopper's kernels ask for

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuda: cuBLASLt: ", what, " failed with status ", static_cast<int>(status));
  }
}
void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail("cuda: ", what, ": ", cudaGetErrorString(error));
}

// The library's functions, by the names and types of its header.
struct Functions {
  explicit Functions(void* library) : library_(library) {
    look_up(create, "cublasLtCreate");
    look_up(destroy, "cublasLtDestroy");
    look_up(version, "cublasLtGetVersion");
    look_up(matmul, "cublasLtMatmul");
    look_up(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    look_up(operation_create, "cublasLtMatmulDescCreate");
    look_up(operation_destroy, "cublasLtMatmulDescDestroy");
    look_up(operation_set, "cublasLtMatmulDescSetAttribute");
    look_up(layout_create, "cublasLtMatrixLayoutCreate");
    look_up(layout_destroy, "cublasLtMatrixLayoutDestroy");
    look_up(layout_set, "cublasLtMatrixLayoutSetAttribute");
    look_up(preference_create, "cublasLtMatmulPreferenceCreate");
    look_up(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    look_up(preference_set, "cublasLtMatmulPreferenceSetAttribute");
  }

  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) operation_create;
  decltype(&cublasLtMatmulDescDestroy) operation_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) operation_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;

 private:
  template <class Function>
  void look_up(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    if (function == nullptr) fail("cuda: the cuBLASLt that was found has no ", name);
  }
  void* library_;
};

// Never closed: its threads and contexts live as long as the process.
void* open_library() {
  const std::string name = cat("libcublasLt.so.", CUBLAS_VER_MAJOR);
  for (const std::string& path :
       {name, cat(LATHE_CUDA_LIBRARIES, "/", name), cat("/usr/local/cuda/lib64/", name)}) {
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  }
  throw Unavailable(cat(name, " was not found, neither by the loader nor in ", LATHE_CUDA_LIBRARIES,
                        ": install the CUDA Toolkit's libcublas, or put its folder into "
                        "LD_LIBRARY_PATH"));
}

cudaDataType_t type_of(DType type) { return type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

cublasLtEpilogue_t epilogue_of(const Product& product) {
  int epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  if (product.epilogue == Epilogue::gelu_tanh) {
    epilogue = product.has_aux ? CUBLASLT_EPILOGUE_GELU_AUX : CUBLASLT_EPILOGUE_GELU;
  } else if (product.epilogue == Epilogue::relu) {
    epilogue = CUBLASLT_EPILOGUE_RELU;
  }
  if (product.has_bias) {
    epilogue = epilogue == CUBLASLT_EPILOGUE_DEFAULT ? CUBLASLT_EPILOGUE_BIAS
                                                     : epilogue | CUBLASLT_EPILOGUE_BIAS;
  }
  return static_cast<cublasLtEpilogue_t>(epilogue);
}

// The descriptors of one product.
class Description {
 public:
  Description(const Functions& library, const Product& product) : library_(library) {
    const cublasComputeType_t compute =
        product.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(library_.operation_create(&operation, compute, CUDA_R_32F), "describing a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, product.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, product.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(product));
    if (product.has_bias) set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(product.out));
    if (product.has_aux) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, product.d.leading);
    a = layout(product.a, product.in, product.batch);
    b = layout(product.b, product.in, product.batch);
    d = layout(product.d, product.out, product.batch);
    ColumnMajor before = product.d;
    before.leading = product.c_leading;
    c = layout(before, product.out, product.batch);
  }
  ~Description() {
    for (const cublasLtMatrixLayout_t matrix : {a, b, c, d}) library_.layout_destroy(matrix);
    library_.operation_destroy(operation);
  }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;

  void point(const ProductOperands& operands) {
    if (operands.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
    if (operands.aux != nullptr) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, operands.aux);
  }

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr;
  cublasLtMatrixLayout_t b = nullptr;
  cublasLtMatrixLayout_t c = nullptr;
  cublasLtMatrixLayout_t d = nullptr;

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(library_.operation_set(operation, attribute, &value, sizeof value),
          "setting an attribute of a product");
  }
  cublasLtMatrixLayout_t layout(const ColumnMajor& matrix, DType type, std::int64_t batch) {
    cublasLtMatrixLayout_t made = nullptr;
    check(library_.layout_create(&made, type_of(type), static_cast<std::uint64_t>(matrix.rows),
                                 static_cast<std::uint64_t>(matrix.columns), matrix.leading),
          "describing a matrix");
    if (batch > 1) {
      const auto count = static_cast<std::int32_t>(batch);
      check(library_.layout_set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
            "describing a batch");
      check(library_.layout_set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                &matrix.batch_step, sizeof matrix.batch_step),
            "describing a batch");
    }
    return made;
  }

  const Functions& library_;
};

class CublasLt final : public ProductLibrary {
 public:
  explicit CublasLt(int device) : functions_(open_library()) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "reading the properties of the device");
    device_ = cat(properties.name, " ", properties.major, ".", properties.minor, " ",
                  properties.multiProcessorCount);
    check(functions_.create(&handle_), "opening the library");
    check(cudaMalloc(&workspace_, workspace_bytes), "taking the workspace of matrix products");
    check(cudaEventCreate(&before_), "making an event");
    check(cudaEventCreate(&after_), "making an event");
  }
  ~CublasLt() override {
    descriptions_.clear();
    cudaEventDestroy(before_);
    cudaEventDestroy(after_);
    cudaFree(workspace_);
    functions_.destroy(handle_);
  }

  std::string identity() const override {
    return cat("cuBLASLt ", functions_.version(), " ", device_);
  }

  std::vector<Algorithm> candidates(const Product& product, int most) override {
    Description& description = described(product);
    // Some address: an epilogue without its operands is no epilogue to the library.
    description.point({.a = nullptr,
                       .b = nullptr,
                       .c = nullptr,
                       .d = nullptr,
                       .bias = product.has_bias ? workspace_ : nullptr,
                       .aux = product.has_aux ? workspace_ : nullptr});
    cublasLtMatmulPreference_t preference = nullptr;
    check(functions_.preference_create(&preference), "asking for algorithms");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(functions_.preference_set(preference, attribute, &value, sizeof value),
            "asking for algorithms");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    const auto alignment = static_cast<std::uint32_t>(product.alignment);
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      set(attribute, alignment);
    }
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
    int count = 0;
    const cublasStatus_t status =
        functions_.heuristic(handle_, description.operation, description.a, description.b,
                             description.c, description.d, preference, most, found.data(), &count);
    functions_.preference_destroy(preference);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
      count = 0;  // not in this form; a linear layer then goes without an epilogue
    } else {
      check(status, "asking for algorithms");
    }
    std::vector<Algorithm> all;
    for (int i = 0; i < count; ++i) {
      const auto& result = found[static_cast<std::size_t>(i)];
      if (result.state == CUBLAS_STATUS_SUCCESS)
        all.push_back(std::bit_cast<Algorithm>(result.algo));
    }
    return all;
  }

  void run(const Product& product, const Algorithm& algorithm, const ProductOperands& operands,
           Stream stream) override {
    Description& description = described(product);
    description.point(operands);
    const float alpha = 1;
    const float beta = product.adds ? 1 : 0;
    const auto chosen = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm);
    check(functions_.matmul(handle_, description.operation, &alpha, operands.a, description.a,
                            operands.b, description.b, &beta, operands.c, description.c, operands.d,
                            description.d, &chosen, workspace_, workspace_bytes,
                            static_cast<cudaStream_t>(stream)),
          product.key().c_str());
  }

  float lap(Stream stream) override {
    check(cudaEventRecord(after_, static_cast<cudaStream_t>(stream)), "measuring");
    check(cudaEventSynchronize(after_), "measuring");
    float milliseconds = 0;
    if (started_) check(cudaEventElapsedTime(&milliseconds, before_, after_), "measuring");
    started_ = true;
    std::swap(before_, after_);
    return milliseconds;
  }

 private:
  Description& described(const Product& product) {
    const auto found = descriptions_.find(product);
    if (found != descriptions_.end()) return found->second;
    if (descriptions_.size() > 4096) descriptions_.clear();  // shapes that never come back
    return descriptions_.try_emplace(product, functions_, product).first->second;
  }

  Functions functions_;
  std::string device_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  cudaEvent_t before_ = nullptr;
  cudaEvent_t after_ = nullptr;
  bool started_ = false;
  std::map<Product, Description> descriptions_;
};
}  // namespace

std::unique_ptr<ProductLibrary> open_product_library(int device) {
  return std::make_unique<CublasLt>(device);
}

}  // namespace lathe::cuda
