// The emulator has no cuDNN, wherever it is installed: that would run on a real device.
#include "cudnn_api.h"

#include <lathe/base/error.h>

namespace lathe::cuda::cudnn {

const Library& library() {
  static const Library none = [] {
    Library library;
    library.missing = "cuDNN 9 cannot be loaded: this device is emulated";
    return library;
  }();
  return none;
}

void check(int status, const char* doing) {
  if (status != 0) fail("cuDNN, ", doing, ": status ", status);
}

}  // namespace lathe::cuda::cudnn
