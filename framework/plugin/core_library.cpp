#include <lathe/base/error.h>
#include <lathe/plugin/core_library.h>

#include <dlfcn.h>

#include <cstdlib>

namespace lathe {

std::filesystem::path core_library() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&core_library), &info) == 0 ||
      info.dli_fname == nullptr) {
    fail("the place of the framework's library is not known");
  }
  return std::filesystem::canonical(info.dli_fname);
}

std::filesystem::path user_plugin_folder() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && *data != '\0') return std::filesystem::path(data) / "lathe/plugins";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".local/share/lathe/plugins";
  }
  return {};
}

std::filesystem::path plugin_folder() { return core_library().parent_path() / "lathe" / "plugins"; }

}  // namespace lathe
