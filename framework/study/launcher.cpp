#include <lathe/study/launcher.h>

namespace lathe {

Launcher::~Launcher() = default;

}  // namespace lathe
