// Minibatches of collections: what they cover, and early stops.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "scripted_stage.h"

namespace lathe {
namespace {
using testing::life_of;
using testing::Stage;
using testing::Step;
using Places = std::vector<std::int64_t>;

// Each epoch goes through every place once, in an order of its own.
TEST(Rollouts, MinibatchesCoverTheCollection) {
  Stage stage;
  const auto session = stage.session();
  std::vector<std::vector<float>> orders;
  for (std::int64_t collection = 0; collection < 2; ++collection) {
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      std::vector<float> order;
      std::vector<std::int64_t> sizes;
      for (std::int64_t k = 0; k < 4; ++k) {
        const Batch part = session->feed->batch(8 * collection + 4 * epoch + k);
        EXPECT_TRUE(part.prepared);
        EXPECT_EQ(part.collection, collection + 1);
        EXPECT_EQ(part.first, epoch + k == 0) << "nothing has been learnt from the collection yet";
        EXPECT_EQ(part.length, 1);
        EXPECT_EQ(part.metrics.empty(), epoch + k > 0) << "metrics are told once";
        sizes.push_back(part.rows);
        order.insert(order.end(), part.experience.rewards.begin(), part.experience.rewards.end());
      }
      EXPECT_EQ(sizes, (Places{5, 5, 5, 6}));
      std::vector<float> expected;
      for (std::int64_t row = 0; row < 3; ++row) {
        const std::vector<Step> life = life_of(row, 100);
        for (std::size_t t = 0; t < 7; ++t) {
          const Step& now = life[7 * static_cast<std::size_t>(collection) + t];
          expected.push_back(static_cast<float>(100 * now.episode + now.step + 1));
        }
      }
      std::vector<float> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      std::sort(expected.begin(), expected.end());
      EXPECT_EQ(sorted, expected);
      orders.push_back(order);
    }
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_EQ(session->feed->actions_taken(), 42);
}

// An early stop leaves the rest of the collection.
TEST(Rollouts, StopLeavesTheCollection) {
  Stage stage;
  const auto session = stage.session();
  const Batch first = session->feed->batch(0);
  EXPECT_EQ(session->feed->actions_taken(), 21);
  session->feed->observe(first, {.sum = {}, .stop = true});
  session->feed->batch(1);
  EXPECT_EQ(session->feed->actions_taken(), 42);
}

// With accumulation the loss of an older collection may come after a newer one has begun.
TEST(Rollouts, StopOfAnOlderCollectionLeavesTheNewerOne) {
  Stage stage;
  const auto session = stage.session();
  Batch last;
  for (std::int64_t number = 0; number < 8; ++number) last = session->feed->batch(number);
  EXPECT_TRUE(session->feed->batch(8).first);
  EXPECT_EQ(session->feed->actions_taken(), 42);
  session->feed->observe(last, {.sum = {}, .stop = true});
  EXPECT_EQ(session->feed->batch(9).collection, 2);
  EXPECT_EQ(session->feed->actions_taken(), 42);
}

}  // namespace
}  // namespace lathe
