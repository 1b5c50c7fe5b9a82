// Collections of an environment whose every number is known beforehand: rows, ends, the true last
// observations, and selections of what was lived through.
#include <gtest/gtest.h>
#include <lathe/learn/collector.h>
#include <lathe/learn/experience.h>
#include <lathe/learn/text_collector.h>

#include <algorithm>
#include <map>
#include <set>

#include "scripted_stage.h"

namespace lathe {
namespace {
using testing::context_of;
using testing::life_of;
using testing::Stage;
using testing::Step;
using Numbers = std::vector<float>;
using Places = std::vector<std::int64_t>;

TEST(Collector, EveryPlaceIsWhatWasLivedThrough) {
  Stage stage;
  for (const bool table : {false, true}) {
    const auto session =
        table ? stage.session({"environment.table=true", "model=table"}) : stage.session();
    Collector collector(context_of(*session), 3);
    for (std::size_t collection = 0; collection < 3; ++collection) {
      const Batch batch = collector.collect(7, {});
      const Experience& lived = batch.experience;
      ASSERT_EQ(batch.rows, 3);
      ASSERT_EQ(batch.length, 7);
      Places open;
      Numbers open_numbers;
      std::vector<std::int32_t> open_states;
      std::map<std::string, std::pair<double, double>> ends;
      for (std::int64_t row = 0; row < 3; ++row) {
        const std::vector<Step> life = life_of(row, 100);
        for (std::size_t t = 0; t < 7; ++t) {
          const Step& now = life[7 * collection + t];
          const auto place = row * 7 + static_cast<std::int64_t>(t);
          const auto n = static_cast<std::size_t>(place);
          if (table) {
            EXPECT_EQ(batch.tokens[n], 10 * now.episode + now.step);
          } else {
            EXPECT_EQ(lived.observations[2 * n], static_cast<float>(now.episode));
            EXPECT_EQ(lived.observations[2 * n + 1], static_cast<float>(now.step));
          }
          const bool odd = now.episode % 2 != 0;
          EXPECT_EQ(lived.rewards[n], static_cast<float>(100 * now.episode + now.step + 1));
          EXPECT_EQ(lived.terminated[n], now.ended && !odd);
          EXPECT_EQ(lived.truncated[n], now.ended && odd);
          EXPECT_EQ(lived.discounts[n], now.ended && !odd ? 0 : 0.5F);
          EXPECT_EQ(batch.weights[n], 1);
          EXPECT_GE(batch.targets[n], 0);
          EXPECT_LT(batch.targets[n], 3);
          if (now.ended) {
            const auto length = static_cast<double>(now.step + 1);
            ends["length"].first += length;
            ends["return"].first +=
                100.0 * static_cast<double>(now.episode) * length + length * (length + 1) / 2;
            ends["length"].second += 1;
            ends["return"].second += 1;
          }
          if ((now.ended && odd) || (t == 6 && !now.ended)) {
            open.push_back(place);
            open_numbers.push_back(static_cast<float>(now.episode));
            open_numbers.push_back(static_cast<float>(now.step + 1));
            open_states.push_back(static_cast<std::int32_t>(10 * now.episode + now.step + 1));
          }
        }
      }
      EXPECT_EQ(lived.open_places, open);
      EXPECT_EQ(lived.open_observations, table ? Numbers() : open_numbers);
      EXPECT_EQ(lived.open_states, table ? open_states : std::vector<std::int32_t>());
      for (const Metric& metric : batch.metrics) {
        EXPECT_EQ(metric.sum, ends[metric.name].first) << metric.name;
        EXPECT_EQ(metric.weight, ends[metric.name].second);
      }
      EXPECT_EQ(batch.metrics.size(), 2U);
    }
    EXPECT_EQ(collector.actions_taken(), 63);
  }
}

TEST(Collector, PlaysWholeEpisodesOnce) {
  Stage stage;
  const auto session = stage.session();
  for (const std::int64_t rows : {1, 3, 8}) {
    Collector collector(context_of(*session), rows);
    const std::vector<Metric> metrics = collector.play(5, {.kind = ActingRule::Kind::greedy});
    ASSERT_EQ(metrics.size(), 2U);
    for (const Metric& metric : metrics) {
      // Lengths 2, 3, 4, 2, 3 of the episodes 0 ... 4.
      const double total = metric.name == "length" ? 14 : 3 + 306 + 810 + 603 + 1206;
      EXPECT_EQ(metric.sum, total) << metric.name;
      EXPECT_EQ(metric.weight, 5);
    }
  }
}

// An episode that does not end counts as it is when it is cut; others go on as before.
TEST(Collector, CutsAnEpisodeThatGoesOnForLong) {
  Stage stage;
  const auto session = stage.session();
  FeedContext context = context_of(*session);
  context.longest = 3;
  for (const std::int64_t rows : {1, 3, 8}) {
    const std::vector<Metric> metrics =
        Collector(context, rows).play(5, {.kind = ActingRule::Kind::greedy});
    ASSERT_EQ(metrics.size(), 2U);
    for (const Metric& metric : metrics) {
      // Episode 2 would have had a fourth step, worth 204.
      const double total = metric.name == "length" ? 13 : 3 + 306 + 606 + 603 + 1206;
      EXPECT_EQ(metric.sum, total) << metric.name;
      EXPECT_EQ(metric.weight, 5);
    }
  }
  int moments = 0;
  bool ended = false;
  Collector(context, 1)
      .watch(2, {.kind = ActingRule::Kind::greedy}, [&](const Collector::Moment& moment) {
        ++moments;
        ended = moment.ended;
      });
  EXPECT_EQ(moments, 4) << "the beginning and three steps";
  EXPECT_TRUE(ended);
}

// The log-probability that is kept is that of the action under the model.
TEST(Collector, BehaviourIsTheModels) {
  Stage stage;
  const auto session = stage.session({"model.policy_gain=1.0"});
  Collector collector(context_of(*session), 3);
  const Batch batch = collector.collect(7, {});
  const NoGradient silent;
  const DeviceBatch device(batch, session->parameters);
  const std::vector<float> scores =
      session->model->score(session->model->hidden(device.input), device.targets, 1)
          .log_probability.floats();
  std::set<float> all;
  for (std::size_t n = 0; n < scores.size(); ++n) {
    EXPECT_NEAR(batch.experience.behaviour[n], scores[n], 1e-5);
    all.insert(scores[n]);
  }
  EXPECT_GT(all.size(), 10U);
}

// A collection with everything in it.
Batch collection() {
  Stage stage;
  const auto session = stage.session({"feed.minibatches=1", "feed.epochs=1"});
  Batch batch = session->feed->batch(0);
  batch.first_row = 12;
  batch.metrics.clear();
  const auto places = static_cast<std::size_t>(batch.rows * batch.length);
  for (std::size_t n = 0; n < places; ++n) {
    batch.positions.push_back(static_cast<std::int32_t>(n));
    batch.experience.reference.push_back(static_cast<double>(n) / 4);
    batch.experience.moves.insert(batch.experience.moves.end(), {static_cast<float>(n), -1});
    batch.experience.log_probabilities.push_back(-static_cast<double>(n));
  }
  batch.examples = {5, 6, 7};
  batch.experience.groups = {1, 1, 2};
  batch.experience.replay_places = {8, 9, 10};
  batch.experience.replay_weights = {0.5F, 1, 2};
  for (std::size_t f = 0; f < batch.experience.open_places.size(); ++f) {
    batch.experience.open_actions.push_back(static_cast<std::int32_t>(f));
  }
  batch.written = {{"2+2=", "4", 1}, {"", "", -0.5}, {"a", "b\n", 2}};
  return batch;
}

std::string bytes_of(const Batch& batch) {
  State state;
  save_batch(batch, state);
  std::string all;
  for (const auto& [name, item] : state.items()) {
    all += cat(name, " ", item.bytes.size(), " ", sha256(item.bytes), "\n");
  }
  return all;
}

TEST(Experience, SaveAndLoadKeepEverything) {
  const Batch batch = collection();
  State state;
  save_batch(batch, state);
  const Batch back = load_batch(state);
  EXPECT_EQ(bytes_of(back), bytes_of(batch));
  EXPECT_EQ(back.rows, 3);
  EXPECT_EQ(back.length, 7);
  EXPECT_EQ(back.first_row, 12);
  EXPECT_TRUE(back.prepared);
  EXPECT_EQ(back.experience.width, 2);
  EXPECT_EQ(back.experience.open_places, batch.experience.open_places);
  EXPECT_EQ(back.experience.advantages, batch.experience.advantages);
  EXPECT_EQ(back.written[2].text, "b\n");
  EXPECT_EQ(back.written[1].score, -0.5);
}

TEST(Experience, PlacesTakeAllThatIsTheirs) {
  const Batch batch = collection();
  const Places places = {20, 3, 13};
  const Batch some = select_places(batch, places);
  EXPECT_EQ(some.rows, 3);
  EXPECT_EQ(some.length, 1);
  EXPECT_TRUE(some.prepared);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto n = static_cast<std::size_t>(places[i]);
    EXPECT_EQ(some.targets[i], batch.targets[n]);
    EXPECT_EQ(some.positions[i], batch.positions[n]);
    EXPECT_EQ(some.experience.rewards[i], batch.experience.rewards[n]);
    EXPECT_EQ(some.experience.advantages[i], batch.experience.advantages[n]);
    EXPECT_EQ(some.experience.log_probabilities[i], batch.experience.log_probabilities[n]);
    EXPECT_EQ(some.experience.observations[2 * i + 1], batch.experience.observations[2 * n + 1]);
    EXPECT_EQ(some.experience.moves[2 * i], batch.experience.moves[2 * n]);
    EXPECT_EQ(some.examples[i], batch.examples[n / 7]);
    EXPECT_EQ(some.experience.groups[i], batch.experience.groups[n / 7]);
    EXPECT_EQ(some.experience.replay_weights[i], batch.experience.replay_weights[n / 7]);
    const auto& open = batch.experience.open_places;
    const auto at = std::find(open.begin(), open.end(), places[i]);
    const auto& kept = some.experience.open_places;
    const auto now = std::find(kept.begin(), kept.end(), static_cast<std::int64_t>(i));
    ASSERT_EQ(at != open.end(), now != kept.end()) << "place " << n;
    if (at == open.end()) continue;
    const auto f = static_cast<std::size_t>(at - open.begin());
    const auto g = static_cast<std::size_t>(now - kept.begin());
    EXPECT_EQ(some.experience.open_actions[g], batch.experience.open_actions[f]);
    EXPECT_EQ(some.experience.open_observations[2 * g], batch.experience.open_observations[2 * f]);
  }
  EXPECT_EQ(some.experience.open_places.front(), 0) << "place 20 is the end of a row";
}

TEST(Experience, RowsTakeAllThatIsTheirs) {
  const Batch batch = collection();
  const Batch same = select_rows(batch, Places{0, 1, 2});
  Batch unwritten = batch;
  unwritten.written.clear();
  EXPECT_EQ(bytes_of(same), bytes_of(unwritten));
  const Batch back = select_rows(select_rows(batch, Places{2, 0, 1}), Places{1, 2, 0});
  EXPECT_EQ(bytes_of(back), bytes_of(unwritten));
  const Batch last = select_rows(batch, Places{2});
  EXPECT_EQ(last.rows, 1);
  EXPECT_EQ(last.experience.rewards,
            Numbers(batch.experience.rewards.begin() + 14, batch.experience.rewards.end()));
  EXPECT_EQ(last.experience.open_places.back(), batch.experience.open_places.back() - 14);
  EXPECT_EQ(last.examples, Places{7});
}

}  // namespace
}  // namespace lathe
