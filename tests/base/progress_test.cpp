#include <gtest/gtest.h>
#include <lathe/base/clock.h>
#include <lathe/base/json.h>
#include <lathe/base/progress.h>
#include <lathe/base/signal.h>

#include <csignal>

#include "temporary_folder.h"

namespace lathe {
namespace {

TEST(Clock, IsoTimeAndDurations) {
  EXPECT_EQ(iso_time(951782399.7), "2000-02-28T23:59:59Z");
  EXPECT_EQ(iso_time(951782400), "2000-02-29T00:00:00Z");
  EXPECT_EQ(duration_text(4.24), "4.2s");
  EXPECT_EQ(duration_text(59.96), "1m00s");
  EXPECT_EQ(duration_text(187), "3m07s");
  EXPECT_EQ(duration_text(7500), "2h05m");
  EXPECT_EQ(duration_text(5 * 86400 + 3 * 3600), "5d03h");
  const double before = steady_seconds();
  EXPECT_GE(steady_seconds(), before);
  EXPECT_GT(wall_seconds(), 1.6e9);
  double sum = 1;
  { const Timed timed(sum); }
  EXPECT_GE(sum, 1);
}

TEST(Progress, TextHasCountsRateAndTimeLeft) {
  const Progress::Notes notes = {{"loss", 3.2109}, {"reward", -1}};
  detail::ProgressState state{"ppo", 50, 200, 10, 5, &notes};
  EXPECT_EQ(detail::progress_text(state, 200),
            "ppo 50/200 25%  loss 3.211  reward -1  5/s  30.0s left");
  EXPECT_EQ(detail::progress_text(state, 10), "ppo 50/200");
  state.rate = 0.25;
  state.total = 0;
  EXPECT_EQ(detail::progress_text(state, 200), "ppo 50  loss 3.211  reward -1  4s each");
  state.label = "\u00e9\u00e9";
  EXPECT_EQ(detail::progress_text(state, 1), "\u00e9");
}

TEST(Progress, JsonLinesParse) {
  ::testing::internal::CaptureStderr();
  {
    Progress progress("train", 10, ProgressStyle::json, 4);
    progress.update(5, {{"loss", 0.1}});
    progress.update(6, {{"loss", 0.2}});  // within the interval: not shown
    progress.finish();
    progress.finish();
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  const std::size_t cut = text.find('\n');
  const Json first = parse_json(text.substr(0, cut), "first");
  const Json last = parse_json(text.substr(cut + 1), "last");
  EXPECT_EQ(first["done"], 5);
  EXPECT_EQ(last["done"], 6);
  EXPECT_EQ(last["total"], 10);
  EXPECT_EQ(last["notes"]["loss"], 0.2);
}

TEST(Progress, PlainLinesAreFewAndQuietIsQuiet) {
  ::testing::internal::CaptureStderr();
  {
    Progress progress("train", 3);
    for (int i = 1; i <= 3; ++i) progress.update(i);
    progress.finish();
    Progress silent("x", 3, ProgressStyle::quiet);
    silent.update(1);
    silent.finish();
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_EQ(text.find("train 1/3 33%"), 0u) << text;
  EXPECT_NE(text.find("\ntrain 3/3 100%"), std::string::npos) << text;
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

TEST(StopRequest, SignalsOnlySetAFlag) {
  {
    const StopRequest stop;
    EXPECT_FALSE(stop.requested());
    std::raise(SIGUSR1);
    std::raise(SIGTERM);
    EXPECT_TRUE(stop.requested());
    EXPECT_EQ(stop.signal(), SIGUSR1);
    EXPECT_NE(testing::error_of([] { StopRequest second; }), "");
  }
  const StopRequest next;
  EXPECT_FALSE(next.requested());
}

}  // namespace
}  // namespace lathe
