#include <lathe/base/error.h>
#include <lathe/plugin/core_library.h>

#include <dlfcn.h>

namespace lathe {

std::filesystem::path core_library() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&core_library), &info) == 0 ||
      info.dli_fname == nullptr) {
    fail("the place of the framework's library is not known");
  }
  return std::filesystem::canonical(info.dli_fname);
}

std::filesystem::path plugin_folder() { return core_library().parent_path() / "lathe" / "plugins"; }

}  // namespace lathe
