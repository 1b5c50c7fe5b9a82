// The one place of the library that an edit of any header compiles again.
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/header_hash.h>  // made by the build: LATHE_HEADER_HASH

namespace lathe {

std::string_view header_hash() { return LATHE_HEADER_HASH; }

}  // namespace lathe
