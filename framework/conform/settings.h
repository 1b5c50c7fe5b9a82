// Settings in which an objective can be tried: a small model and a batch for it. Which of them an
// objective takes it says itself, by refusing the others with an Error.
#pragma once

#include <lathe/conform/learner.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/objective.h>

#include <memory>
#include <string>
#include <vector>

namespace lathe::conform {

struct Setting {
  std::string name;  // "text, causal, feed rows"
  World world;
  bool causal = true;
  Batch batch;
};

// Texts as the feeds of the registry cut them, for causal models and for those that see both sides;
// transitions of control tasks, whose actions are choices or numbers, and of counted states; texts
// that were written and rewarded.
std::vector<Setting> settings_of(const Trial& trial);

// An objective in a setting, opened, with its batch prepared. It is opened and prepared, and asked
// for a first loss, in f32 as in training, where objectives may insist on a first ratio of exactly
// 1; then it is measured with the same weights in f64.
class Attempt {
 public:
  Attempt(const Trial& trial, const Config& options, const Setting& setting);

  Loss loss(const Batch& of) const { return objective->loss(of, pass(learner)); }

  Learner learner;  // f64
  Batch batch;
  std::unique_ptr<Objective> objective;

 private:
  static ObjectivePass pass(const Learner& of);
  std::unique_ptr<ModelCopy> copy() const;

  Learner trained_;  // f32
  std::unique_ptr<Environment> environment_;
};

}  // namespace lathe::conform
