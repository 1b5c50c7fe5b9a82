#include <lathe/base/error.h>
#include <lathe/plugin/loader.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace lathe {
namespace {
using boost::dll::shared_library;

// A library that is never closed: see the header. The list outlives the statics' destructors, and
// holds what a leak checker would else report.
shared_library& keep_open(const std::filesystem::path& file) {
  namespace mode = boost::dll::load_mode;
  static std::mutex mutex;
  static auto& kept = *new std::vector<shared_library*>;
  auto library = std::make_unique<shared_library>(std::filesystem::absolute(file).string(),
                                                  mode::rtld_now | mode::rtld_local);
  const std::lock_guard lock(mutex);
  kept.push_back(library.get());
  return *library.release();
}
}  // namespace

std::span<const Descriptor> load_library(const std::filesystem::path& file) {
  using Descriptors = const Descriptor*(const Descriptor**);
  try {
    shared_library& library = keep_open(file);
    const Descriptor* end = nullptr;
    const Descriptor* begin = library.get<Descriptors>("lathe_plugin_descriptors")(&end);
    return {begin, end};
  } catch (const std::exception& error) {
    fail("E103 cannot load the plugin file ", file.string(), ": ", error.what(),
         ". If a library is missing, install it; if a symbol is undefined, build the plugin "
         "again with the headers of this host");
  }
}

}  // namespace lathe
