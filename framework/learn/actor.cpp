#include <lathe/learn/actor.h>

#include <lathe/base/error.h>
#include <lathe/learn/objective.h>

namespace lathe {

Actor::Actor(const FeedContext& context, std::int64_t rows, std::int64_t group,
             std::string_view feed)
    : episodes_(context.episodes), objective_(context.objective) {
  if (!context.make_environment || objective_ == nullptr) {
    fail("feed '", feed, "' acts in an environment: add [environment] use = \"...\"");
  }
  const auto seen = context.make_environment(1);
  observations_ = seen->observations();
  actions_ = seen->actions();
  if (observations_.kind == Space::Kind::tokens) {
    texts_.emplace(context, rows, group);
  } else {
    steps_.emplace(context, rows);
  }
}

Batch Actor::collect(std::int64_t steps, const ActingRule& rule) {
  return texts_ ? texts_->collect(rule) : steps_->collect(steps, rule);
}

Batch Actor::evaluation() {
  Batch batch;
  batch.prepared = true;
  batch.experience.rewards = {0};
  const ActingRule rule = objective_->playing();
  batch.metrics = texts_ ? texts_->play(episodes_, rule) : steps_->play(episodes_, rule);
  return batch;
}

std::int64_t Actor::actions_taken() const {
  return texts_ ? texts_->actions_taken() : steps_->actions_taken();
}

void Actor::save(State& state) const {
  if (texts_) texts_->save(state);
  if (steps_) steps_->save(state);
}

void Actor::load(const State& state) {
  if (texts_) texts_->load(state);
  if (steps_) steps_->load(state);
}

}  // namespace lathe
