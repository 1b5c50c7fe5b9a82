#include <lathe/base/error.h>
#include <lathe/plugin/loader.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

namespace lathe {

std::span<const Descriptor> load_library(const std::filesystem::path& file) {
  using boost::dll::shared_library;
  using Descriptors = const Descriptor*(const Descriptor**);
  namespace mode = boost::dll::load_mode;
  try {
    // Leaked on purpose: see the header.
    auto* library = new shared_library(std::filesystem::absolute(file).string(),
                                       mode::rtld_now | mode::rtld_local);
    const Descriptor* end = nullptr;
    const Descriptor* begin = library->get<Descriptors>("lathe_plugin_descriptors")(&end);
    return {begin, end};
  } catch (const std::exception& error) {
    fail("E103 cannot load the plugin file ", file.string(), ": ", error.what(),
         ". If a library is missing, install it; if a symbol is undefined, build the plugin "
         "again with the headers of this host");
  }
}

}  // namespace lathe
