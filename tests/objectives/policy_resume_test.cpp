// Policy gradients end with the same bits at any number of threads and after a stop at any step: in
// the middle of an episode, of an epoch, with statistics of normalisation, with workers.
#include <gtest/gtest.h>
#include <lathe/io/checkpoint.h>
#include <lathe/run/state_files.h>

#include <set>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::hash_of;
using testing::Tiny;

// A collection is two rows of 7 steps and learnt from in 2 x 3 steps; episodes last some 20 steps.
const char* const control = R"(
seed = 8
[environment]
use = "cartpole"
[feed]
use = "rollouts"
environments = 2
steps = 7
epochs = 2
minibatches = 3
[model]
use = "mlp"
layers = [8]
[objective]
use = "ppo"
clip_schedule = "linear"
entropy = 0.01
[optimizer]
use = "adamw"
rate = 0.01
[schedule]
use = "linear"
[train]
batch = 1
steps = 40
clip = 0.5
[evaluate]
episodes = 3
)";
const std::vector<std::string> normalised = {"wrap.normalise_observations=true",
                                             "wrap.normalise_rewards=true"};

void keep(const std::string& folder, std::int64_t step, Trainer& trainer, const Session& session) {
  Checkpoints(real_files(), folder, 1).save(step, StateFiles(trainer, session).files());
}

void expect_same_after_every_step(const std::vector<std::string>& changes) {
  constexpr std::int64_t last = 16;
  Tiny tiny(control);
  const auto whole = tiny.session(changes);
  Trainer straight(*whole);
  std::set<std::string> passed;
  for (std::int64_t step = 0; step < last; ++step) {
    straight.step();
    passed.insert(hash_of(straight, *whole));
    keep(tiny / cat("kept", step + 1), step + 1, straight, *whole);
  }
  const std::string expected = hash_of(straight, *whole);
  const double played = straight.evaluate().value("return");
  EXPECT_GT(passed.size(), 3U) << "something was learnt";
  for (std::int64_t step = 1; step < last; ++step) {
    const auto second = tiny.session(changes);
    Trainer trainer(*second);
    load_state(newest_trusted(tiny / cat("kept", step)).path, trainer, *second);
    ASSERT_EQ(trainer.state.step, step);
    while (trainer.state.step < last) trainer.step();
    EXPECT_EQ(hash_of(trainer, *second), expected) << "stopped after step " << step;
    EXPECT_EQ(trainer.actions_taken(), straight.actions_taken());
    EXPECT_EQ(trainer.evaluate().value("return"), played);
    ASSERT_EQ(trainer.measured.size(), straight.measured.size());
    for (std::size_t i = 0; i < trainer.measured.size(); ++i) {
      const std::string& name = trainer.measured[i].name;
      const auto same = std::find_if(straight.measured.begin(), straight.measured.end(),
                                     [&](const Metric& metric) { return metric.name == name; });
      ASSERT_NE(same, straight.measured.end()) << name;
      EXPECT_EQ(trainer.measured[i].sum, same->sum) << name;
      EXPECT_EQ(trainer.measured[i].weight, same->weight) << name;
    }
  }
}

std::vector<std::string> with(std::vector<std::string> some, const std::vector<std::string>& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

TEST(PolicyResume, Ppo) { expect_same_after_every_step(normalised); }
TEST(PolicyResume, PpoThatStopsEarly) {
  expect_same_after_every_step({"objective.target_kl=1e-5", "optimizer.rate=0.1"});
}
TEST(PolicyResume, PpoOnNumbers) {
  expect_same_after_every_step(with(normalised, {"environment=pendulum"}));
}
TEST(PolicyResume, Reinforce) {
  expect_same_after_every_step(
      with(normalised, {"objective=reinforce", "objective.baseline=value", "feed.steps=30"}));
}
const std::vector<std::string> worked = {"objective=a3c",          "optimizer=rmsprop",
                                         "asynchronous.workers=3", "feed.steps=5",
                                         "feed.epochs=1",          "feed.minibatches=1"};
TEST(PolicyResume, SeededWorkers) { expect_same_after_every_step(worked); }
TEST(PolicyResume, WorkersWithMinibatches) {
  expect_same_after_every_step({"asynchronous.workers=2"});
}

TEST(PolicyBits, AllThreadsTheSame) {
  for (const auto& changes : {normalised, worked}) {
    Tiny tiny(control);
    std::set<std::string> hashes;
    for (const int threads : {1, 2, 4}) {
      const auto session =
          tiny.session(with(changes, {cat("train.threads=", threads), "model.layers=[64,64]",
                                      "feed.environments=16"}));
      Trainer trainer(*session);
      for (int step = 0; step < 14; ++step) trainer.step();
      hashes.insert(hash_of(trainer, *session));
    }
    EXPECT_EQ(hashes.size(), 1U);
  }
}

// One worker is the synchronous learner: A3C's other name is then A2C.
TEST(Workers, OneIsSynchronous) {
  Tiny tiny(control);
  std::set<std::string> hashes;
  for (const char* const workers : {"0", "1"}) {
    const auto session = tiny.session(with(worked, {cat("asynchronous.workers=", workers)}));
    Trainer trainer(*session);
    for (int step = 0; step < 30; ++step) trainer.step();
    hashes.insert(hash_of(trainer, *session));
    EXPECT_EQ(trainer.actions_taken(), 300);
  }
  EXPECT_EQ(hashes.size(), 1U);
  const auto other = tiny.session(with(worked, {"asynchronous.workers=2"}));
  Trainer trainer(*other);
  for (int step = 0; step < 30; ++step) trainer.step();
  EXPECT_FALSE(hashes.contains(hash_of(trainer, *other)));
}

// Four real threads in whatever order they come in; then one thread in the order that was recorded.
TEST(Workers, AFreeRunIsReplayedToTheBit) {
  Tiny tiny(control);
  const auto settings = with(worked, {"asynchronous.workers=4"});
  const auto free = tiny.session(with(settings, {"asynchronous.order=free"}));
  std::string expected;
  std::int64_t actions = 0;
  {
    Trainer trainer(*free);
    for (int step = 0; step < 40; ++step) {
      trainer.step();
      if (step == 20) {  // on a busy machine one thread may have done it all: let all arrive
        State waited;
        trainer.workers->save(waited);
      }
    }
    keep(tiny / "checkpoints", 40, trainer, *free);
    expected = hash_of(trainer, *free);
    actions = trainer.actions_taken();
  }
  const auto replaying =
      with(settings, {"asynchronous.order=replay", cat("asynchronous.record=", tiny.path())});
  const auto again = tiny.session(replaying);
  const std::vector<std::int32_t> order = again->recorded_order();
  ASSERT_EQ(order.size(), 40U);
  EXPECT_EQ(std::set<std::int32_t>(order.begin(), order.end()).size(), 4U) << "all took part";
  Trainer trainer(*again);
  for (int step = 0; step < 40; ++step) trainer.step();
  EXPECT_EQ(hash_of(trainer, *again), expected);
  EXPECT_EQ(trainer.actions_taken(), actions) << "gradients under way do not count";
  EXPECT_NE(error_of([&] { trainer.step(); }).find("ends after 40 steps"), std::string::npos);
  const auto fewer = tiny.session(with(replaying, {"asynchronous.workers=2"}));
  Trainer short_handed(*fewer);
  EXPECT_NE(error_of([&] {
              for (int step = 0; step < 40; ++step) short_handed.step();
            }).find("give both runs the same number"),
            std::string::npos);
}

// A free run that goes on from a checkpoint says that its order has a gap.
TEST(Workers, AResumedFreeRunCannotBeReplayed) {
  Tiny tiny(control);
  const auto settings = with(worked, {"asynchronous.workers=2", "asynchronous.order=free"});
  {
    const auto first = tiny.session(settings);
    Trainer trainer(*first);
    for (int step = 0; step < 5; ++step) trainer.step();
    keep(tiny / "first", 5, trainer, *first);
  }
  {
    const auto second = tiny.session(settings);
    Trainer trainer(*second);
    load_state(newest_trusted(tiny / "first").path, trainer, *second);
    for (int step = 0; step < 5; ++step) trainer.step();
    keep(tiny / "checkpoints", 10, trainer, *second);
  }
  const auto replaying =
      tiny.session(with(worked, {"asynchronous.workers=2", "asynchronous.order=replay",
                                 cat("asynchronous.record=", tiny.path())}));
  Trainer trainer(*replaying);
  const std::string error = error_of([&] {
    for (int step = 0; step < 10; ++step) trainer.step();
  });
  EXPECT_NE(error.find("resumed at step 5"), std::string::npos) << error;
}

TEST(Workers, NormalisationIsRefused) {
  Tiny tiny(control);
  EXPECT_NE(error_of([&] { tiny.session(with(worked, normalised)); }).find("leave one"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
