// Lets a test include the source of a plugin and build its class directly, without the loader.
#pragma once

#include <lathe/plugin/plugin.h>

#undef LATHE_PLUGIN
#define LATHE_PLUGIN(...)
