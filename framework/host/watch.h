// lathe run FILE --watch: a run that follows its plugins' sources.
#pragma once

#include <lathe/host/verb.h>
#include <lathe/run/experiment.h>

namespace lathe {

// Runs the experiment in a process of its own. When a source of one of its plugins changes (those
// that `lathe build` has made), the plugin is built again, held to level 1 of its kind's contract,
// and the run goes on from its checkpoint in a fresh process. A change that fails any of this is
// reported and leaves the run alone. Gives the exit code of the run.
int watch(const Arguments& arguments, const Experiment& experiment, Registry& registry);

}  // namespace lathe
