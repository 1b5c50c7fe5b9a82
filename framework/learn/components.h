// What the framework brings along under the same registry as plugins, so that any of it can move
// out without a change to an experiment file.
#pragma once

#include <lathe/plugin/registry.h>

namespace lathe {

// Tokenizers, feeds, optimizers and schedules.
void add_components(Registry& registry);

}  // namespace lathe
