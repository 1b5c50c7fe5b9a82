// Finds cuDNN at run time.
#include "cudnn_api.h"

#include <lathe/base/error.h>

#include <dlfcn.h>

#include <cstdlib>

namespace lathe::cuda::cudnn {
namespace {
constexpr std::size_t oldest = 90000;

template <class Function>
void find(void* file, const char* name, Function& function, Library& into) {
  function = reinterpret_cast<Function>(dlsym(file, name));
  if (function == nullptr && into.missing.empty()) {
    into.missing = cat("cuDNN lacks the function ", name);
  }
}

Library loaded() {
  Library found;
  const char* named = std::getenv("LATHE_CUDNN");
  void* file = dlopen(named != nullptr ? named : "libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
  if (file == nullptr) {
    const char* reason = dlerror();
    found.missing = cat("cuDNN 9 cannot be loaded: ", reason == nullptr ? "no reason" : reason);
    return found;
  }
  find(file, "cudnnCreate", found.create, found);
  find(file, "cudnnDestroy", found.destroy, found);
  find(file, "cudnnSetStream", found.set_stream, found);
  find(file, "cudnnGetVersion", found.version, found);
  find(file, "cudnnGetErrorString", found.error_text, found);
  find(file, "cudnnGetLastErrorString", found.last_error, found);
  find(file, "cudnnBackendCreateDescriptor", found.create_descriptor, found);
  find(file, "cudnnBackendDestroyDescriptor", found.destroy_descriptor, found);
  find(file, "cudnnBackendSetAttribute", found.set_attribute, found);
  find(file, "cudnnBackendGetAttribute", found.get_attribute, found);
  find(file, "cudnnBackendFinalize", found.finalise, found);
  find(file, "cudnnBackendExecute", found.execute, found);
  if (found && found.version() < oldest) {
    found.missing = cat("cuDNN ", found.version(), " is older than ", oldest);
  }
  return found;
}
}  // namespace

const Library& library() {
  static const Library found = loaded();
  return found;
}

void check(int status, const char* doing) {
  if (status == 0) return;
  char more[512] = "";
  library().last_error(more, sizeof more);
  fail("cuDNN, ", doing, ": ", library().error_text(status), more[0] == 0 ? "" : ": ", more);
}

}  // namespace lathe::cuda::cudnn
