// Models that act by numbers: the part of their suite that models of choices pass over.
#pragma once

#include <lathe/conform/learner.h>

namespace lathe::conform {

// Where actions are numbers, which are drawn from Gaussians.
inline bool moves_in(const World& world) { return world.fit.actions.kind == Space::Kind::box; }

// The gradients of the density of actions, of its entropy and of the values.
void check_move_gradients(const Trial& trial, Learner& learner);

// The density and the entropy that follow from the means and deviations that feeds draw from.
void check_move_density(const Trial& trial, const Learner& learner);

}  // namespace lathe::conform
