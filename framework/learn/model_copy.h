// A further model of the same shape with weights of its own: target networks, references, the
// workers of A3C.
#pragma once

#include <lathe/base/state.h>
#include <lathe/learn/model.h>

#include <memory>

namespace lathe {

struct ModelCopy {
  std::unique_ptr<Model> model;
  Parameters parameters;

  // The weights of the other, which must have been built alike.
  void take(const Parameters& other);
  // parameters += rate (other - parameters), Polyak's average (rate 1 is take()).
  void approach(const Parameters& other, double rate);

  void save(State& state) const;  // the master weights
  void load(const State& state);
};

}  // namespace lathe
