// Feeds that act in an environment: the part of their suite that feeds of data pass over.
#pragma once

#include <lathe/conform/suite.h>

#include <vector>

namespace lathe::conform {

// Whether it says that it needs an environment.
bool feed_acts(const Trial& trial);

std::vector<Test> acting_feed_tests();

}  // namespace lathe::conform
