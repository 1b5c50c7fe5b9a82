#include <lathe/conform/plugin_tests.h>

namespace lathe::conform {

PluginTests::~PluginTests() = default;

}  // namespace lathe::conform
