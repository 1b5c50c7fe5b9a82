// Objectives that learn action values: single steps against the textbook's updates, bit by bit;
// targets against dynamic programming; runs that go on in the middle of an episode.
#include <gtest/gtest.h>
#include <lathe/learn/dynamic_programming.h>

#include <algorithm>
#include <cmath>

#include "objectives/same_bits.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::expect_same_bits;
using testing::hash_of;
using testing::Tiny;
using Values = std::vector<double>;
using Ints = std::vector<std::int32_t>;

// A table that learns online, in f64.
const char* const tabular = R"(
seed = 5
[environment]
use = "windy_gridworld"
[feed]
use = "rollouts"
environments = 1
steps = 1
[model]
use = "table"
[objective]
use = "q_learning"
discount = 0.9
epsilon = 0.2
[optimizer]
use = "sgd"
rate = 0.5
[train]
clip = 0
batch = 1
precision = "f64"
[backend]
use = "reference"
[evaluate]
episodes = 3
)";

double* table_of(Session& session) {
  return session.parameters.find("preferences")->master.view().as<double>();
}
Values values_of(const Session& session) { return session.parameters.master().values(); }

// The same session twice: the trainer learns in one, the textbook's line in the other, from what
// its own feed lives through. Q(s, a) += rate (G - Q(s, a)) with G rounded to f32, as it is kept.
using Target = std::function<double(const Batch& batch, const double* q, std::int64_t actions)>;

void expect_textbook(const std::vector<std::string>& changes, std::int64_t steps,
                     const Target& target) {
  Tiny tiny(tabular);
  const auto learner = tiny.session(changes);
  const auto book = tiny.session(changes);
  Trainer trainer(*learner);
  double* const q = table_of(*book);
  const std::int64_t actions = book->fit.vocabulary;
  for (std::int64_t step = 0; step < steps; ++step) {
    trainer.step();
    Batch batch = book->feed->batch(step);
    const auto goal = static_cast<double>(static_cast<float>(target(batch, q, actions)));
    double& entry = q[batch.tokens[0] * actions + batch.targets[0]];
    entry += 0.5 * (goal - entry);
    ASSERT_EQ(values_of(*learner), values_of(*book)) << "step " << step;
  }
  const Values learnt = values_of(*learner);
  EXPECT_GT(std::count_if(learnt.begin(), learnt.end(), [](double v) { return v != 0; }), 20);
}

TEST(QLearning, IsTheTextbooksUpdate) {
  expect_textbook({}, 400, [](const Batch& batch, const double* q, std::int64_t actions) {
    const auto reward = static_cast<double>(batch.experience.rewards[0]);
    if (batch.experience.terminated[0] != 0) return reward;
    const double* row = q + batch.experience.open_states.at(0) * actions;
    return reward + static_cast<double>(0.9F) * *std::max_element(row, row + actions);
  });
}

// The next action is the one that is really taken.
TEST(Sarsa, IsTheTextbooksUpdate) {
  std::int32_t promised = -1;
  std::int64_t kept = 0;
  expect_textbook({"objective=sarsa", "objective.discount=0.9", "objective.epsilon=0.2"}, 400,
                  [&](const Batch& batch, const double* q, std::int64_t actions) {
                    if (promised >= 0) {
                      EXPECT_EQ(batch.targets[0], promised) << "another action was taken";
                      ++kept;
                    }
                    promised = -1;
                    const auto reward = static_cast<double>(batch.experience.rewards[0]);
                    if (batch.experience.terminated[0] != 0) return reward;
                    promised = batch.experience.open_actions.at(0);
                    const double next = q[batch.experience.open_states.at(0) * actions + promised];
                    return reward + static_cast<double>(0.9F) * next;
                  });
  EXPECT_GT(kept, 390);
}

TEST(Sarsa, ExpectedIsTheMeanOverThePolicy) {
  expect_textbook({"objective=sarsa", "objective.discount=0.9", "objective.epsilon=0.2",
                   "objective.next=expected"},
                  400, [](const Batch& batch, const double* q, std::int64_t actions) {
                    const auto reward = static_cast<double>(batch.experience.rewards[0]);
                    if (batch.experience.terminated[0] != 0) return reward;
                    const double* row = q + batch.experience.open_states.at(0) * actions;
                    const double most = *std::max_element(row, row + actions);
                    const auto ties = static_cast<double>(std::count(row, row + actions, most));
                    double mean = 0;
                    for (std::int64_t a = 0; a < actions; ++a) {
                      const double greedy = row[a] == most ? 0.8 / ties : 0;
                      mean += (greedy + 0.2 / static_cast<double>(actions)) * row[a];
                    }
                    return reward + static_cast<double>(0.9F) * mean;
                  });
}

// A batch of control: two rows of one place, the second of which has ended.
Batch two_places() {
  Batch batch;
  batch.rows = 2;
  batch.length = 1;
  batch.tokens = {3, 4};
  batch.targets = {1, 2};
  batch.weights = {1, 1};
  batch.experience.rewards = {-1, -1};
  batch.experience.discounts = {0.5F, 0};
  batch.experience.terminated = {0, 1};
  batch.experience.truncated = {1, 0};
  batch.experience.open_places = {0, 1};
  batch.experience.open_states = {5, 0};
  return batch;
}

struct Gradient {
  Loss loss;
  Values table;  // of the preferences
};
Gradient gradient_of(Session& session, Batch& batch) {
  const ObjectivePass pass{
      .model = session.model.get(), .parameters = &session.parameters, .options = {}};
  session.objective->prepare(batch, pass);
  session.parameters.begin_gradients();
  Tape tape;
  Gradient result{.loss = session.objective->loss(batch, pass), .table = {}};
  tape.backward(result.loss.sum);
  session.parameters.finish_gradients();
  result.table = session.parameters.find("preferences")->gradient.values();
  return result;
}

// Entries of the table at [state, action] with four actions.
std::size_t entry(int state, int action) { return static_cast<std::size_t>(4 * state + action); }

TEST(QLearning, SemiGradientHuberAndReplayWeights) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective.loss=huber", "objective.huber_width=0.75"});
  double* const q = table_of(*session);
  q[entry(3, 1)] = 0.25;
  q[entry(4, 2)] = -0.5;
  q[entry(5, 3)] = 2;
  Batch batch = two_places();
  batch.experience.replay_weights = {0.5F, 1};
  const Gradient found = gradient_of(*session, batch);
  // G = -1 + 0.5 * 2 = 0 and -1; differences -0.25 (inside) and -0.5 (inside).
  EXPECT_EQ(batch.experience.returns, (std::vector<float>{0, -1}));
  EXPECT_EQ(found.table[entry(3, 1)], 0.5 * 0.25);
  EXPECT_EQ(found.table[entry(4, 2)], 0.5);
  EXPECT_EQ(found.table[entry(5, 3)], 0) << "no gradient through the target";
  EXPECT_EQ(found.loss.sum.item(), 0.5 * 0.03125 + 0.125);
  EXPECT_EQ(found.loss.weight, 2);
  EXPECT_EQ(found.loss.priorities, (std::vector<float>{0.25F, 0.5F}));
  q[entry(4, 2)] = 3;  // now 4 away: beyond the width
  const Gradient far = gradient_of(*session, batch);
  EXPECT_EQ(far.table[entry(4, 2)], 0.75);
  EXPECT_EQ(far.loss.sum.item(), 0.5 * 0.03125 + 0.75 * (4 - 0.375));
}

// Double: Q chooses, the target network values. The target follows every two batches, half way.
TEST(QLearning, DoubleWithATargetThatFollows) {
  Tiny tiny(tabular);
  const auto session = tiny.session(
      {"objective.target_every=2", "objective.target_rate=0.5", "objective.double=true"});
  double* const q = table_of(*session);
  q[entry(5, 0)] = 4;
  q[entry(5, 2)] = 8;
  Batch batch = two_places();
  const auto target = [&] {
    gradient_of(*session, batch);
    return static_cast<double>(batch.experience.returns[0]);
  };
  EXPECT_EQ(target(), -1) << "the target network still stands at zero";
  EXPECT_EQ(target(), -1);
  EXPECT_EQ(target(), -1 + 0.5 * 4) << "half way from 0 to 8, at the action that Q prefers";
  q[entry(5, 0)] = 16;  // Q prefers another action, which the target values at 2
  EXPECT_EQ(target(), -1 + 0.5 * 2);
  EXPECT_EQ(target(), -1 + 0.5 * (2 + 7));
  EXPECT_NE(error_of([&] { tiny.session({"objective.double=true"}); }).find("target_every"),
            std::string::npos);
}

// Rows of several steps: the successor is the next place, and lambda looks further.
TEST(Sarsa, RowsWithLambda) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective=sarsa", "objective.lambda=0.5"});
  double* const q = table_of(*session);
  q[entry(4, 2)] = 2;
  q[entry(5, 1)] = 4;
  Batch batch = two_places();
  batch.rows = 1;
  batch.length = 2;
  batch.experience.discounts = {0.5F, 0.5F};
  batch.experience.terminated = {0, 0};
  batch.experience.truncated = {0, 0};
  batch.experience.open_places = {1};
  batch.experience.open_states = {5};
  batch.experience.open_actions = {1};
  gradient_of(*session, batch);
  // G_1 = -1 + 0.5 * 4 = 1; G_0 = -1 + 0.5 (0.5 * 2 + 0.5 * 1)
  EXPECT_EQ(batch.experience.returns, (std::vector<float>{-0.25F, 1}));
}

// The best action values are a fixed point of Q-learning, those of a policy of Expected SARSA: no
// TD error anywhere, to the rounding of the targets to f32.
TEST(ActionValues, ExactAnswersAreFixedPoints) {
  Tiny tiny(tabular);
  for (const bool best : {true, false}) {
    const auto session = best ? tiny.session({"environment=frozen_lake", "environment.limit=0"})
                              : tiny.session({"environment=frozen_lake", "environment.limit=0",
                                              "objective=sarsa", "objective.discount=0.9",
                                              "objective.epsilon=1.0", "objective.next=expected"});
    const TabularModel world(*session->sight);
    const double discount = static_cast<double>(0.9F);
    Table q = optimal_action_values(world, discount);
    if (!best) {
      const Table even(q.size(), 0.25);
      q = backed_up(world, policy_values(world, even, discount), discount);
    }
    std::copy(q.begin(), q.end(), table_of(*session));
    session->objective->acting(0);
    // All ways to go on from a state and an action, each as a row that counts with its probability.
    for (std::int32_t state = 0; state < 16; ++state) {
      for (std::int32_t action = 0; action < 4; ++action) {
        Batch batch;
        batch.length = 1;
        for (const Transition& way : session->sight->transitions(state, action)) {
          ++batch.rows;
          batch.tokens.push_back(state);
          batch.targets.push_back(action);
          batch.weights.push_back(static_cast<float>(way.probability));
          batch.experience.rewards.push_back(static_cast<float>(way.reward));
          batch.experience.discounts.push_back(way.terminated ? 0 : 0.9F);
          batch.experience.terminated.push_back(way.terminated ? 1 : 0);
          batch.experience.truncated.push_back(0);
          batch.experience.open_places.push_back(batch.rows - 1);
          batch.experience.open_states.push_back(way.next);
        }
        const Values gradient = gradient_of(*session, batch).table;
        for (const double g : gradient) EXPECT_NEAR(g, 0, 1e-7);
      }
    }
  }
}

// One step of dp is one sweep from zeros; policy iteration ends at the optimum, exactly.
TEST(Dp, ValueAndPolicyIteration) {
  Tiny tiny(tabular);
  const auto session = tiny.session(
      {"environment=frozen_lake", "objective=dp", "objective.discount=1.0", "optimizer.rate=1.0"});
  Trainer trainer(*session);
  for (int sweep = 0; sweep < 100; ++sweep) trainer.step();
  EXPECT_NEAR(trainer.evaluate().value("start_value"), 0.744190, 5e-7);
  const auto cliff =
      tiny.session({"environment=cliff_walking", "objective=dp", "objective.discount=1.0",
                    "objective.method=policy_iteration", "optimizer.rate=1.0"});
  Trainer improver(*cliff);
  for (int i = 0; i < 20; ++i) improver.step();
  const Evaluation evaluation = improver.evaluate();
  EXPECT_NEAR(evaluation.value("greedy_value"), -13, 1e-9);
  EXPECT_NEAR(evaluation.value("start_value"), -13, 1e-9);
  EXPECT_NEAR(evaluation.value("bellman_error"), 0, 1e-9);
}

const char* const deep = R"(
seed = 2
[environment]
use = "cartpole"
[feed]
use = "replay"
environments = 2
collect = 3
start = 40
capacity = 90
steps = 3
priority = 0.6
importance_steps = 50
[model]
use = "mlp"
layers = [16]
activation = "relu"
dueling = true
[objective]
use = "q_learning"
target_every = 7
double = true
loss = "huber"
epsilon_steps = 100
[optimizer]
rate = 0.003
[train]
batch = 8
[evaluate]
episodes = 2
)";

TEST(Resume, ReplayInTheMiddleOfAnEpisode) { expect_same_bits(deep, {}, 60); }
TEST(Resume, ReplayOnDisk) {
  const testing::TemporaryFolder folder;
  expect_same_bits(deep, {"feed.folder=" + folder.path(), "feed.priority=0.0"}, 60);
}
TEST(Resume, OnlineSarsa) {
  expect_same_bits(tabular, {"objective=sarsa", "objective.epsilon_steps=100"}, 75);
}
TEST(Resume, TransitionsOfSeveralStepsOnce) {
  expect_same_bits(tabular,
                   {"objective=sarsa", "feed=replay", "feed.order=once", "feed.steps=4",
                    "feed.capacity=50", "objective.next=expected"},
                   75);
}

TEST(Replay, AllThreadsTheSameBits) {
  Tiny tiny(deep);
  std::string hashes[2];
  for (const int threads : {1, 2}) {
    const auto session = tiny.session({cat("train.threads=", threads)});
    Trainer trainer(*session);
    for (int step = 0; step < 30; ++step) trainer.step();
    hashes[threads - 1] = hash_of(trainer, *session);
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace lathe
