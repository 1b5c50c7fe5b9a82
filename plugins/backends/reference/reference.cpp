// backend "reference": plain loops in double precision, the truth for every other backend.
#include "reference.h"

#include <lathe/plugin/plugin.h>

namespace lathe {

LATHE_PLUGIN(Backend, ReferenceBackend, "reference", "1.0.0")

}  // namespace lathe
