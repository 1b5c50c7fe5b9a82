// The table [wrap]: what stands between an environment and who acts in it.
#pragma once

#include <lathe/base/state.h>
#include <lathe/config/keys.h>
#include <lathe/learn/environment.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace lathe {

struct WrapSettings : Keys {
  std::int64_t time_limit =
      key("time_limit", 0, "steps after which an episode is cut off; 0: none", at_least(0));
  bool one_hot = key("one_hot", false, "a discrete observation becomes numbers, 1 at its place");
  bool normalise_observations =
      key("normalise_observations", false,
          "observations minus their running mean, divided by their running deviation");
  double observation_clip =
      key("observation_clip", 10.0, "bounds of a normalised observation", above(0));
  std::int64_t frame_stack =
      key("frame_stack", 1, "latest observations shown together, the newest last", at_least(1));
  double reward_scale = key("reward_scale", 1.0, "factor of each reward");
  bool normalise_rewards = key("normalise_rewards", false,
                               "rewards divided by the running deviation of the discounted return");
  double reward_clip =
      key("reward_clip", 0.0,
          "bounds of a reward in the end; 0: 10 with normalise_rewards, else none", at_least(0));

  bool observations_change() const { return one_hot || normalise_observations || frame_stack > 1; }
  bool rewards_change() const { return reward_scale != 1 || normalise_rewards || reward_clip > 0; }
};

// Mean and variance of a stream of numbers, one by one (Welford 1962). It begins as 1e-4 numbers of
// mean 0 and variance 1, so that the first division is by no zero.
struct RunningStatistics {
  double count = 1e-4, mean = 0, squares = 1e-4;  // squares: summed squared distances to the mean

  void add(double value) {
    count += 1;
    const double distance = value - mean;
    mean += distance / count;
    squares += distance * (value - mean);
  }
  double variance() const { return squares / count; }
};

// What normalisation has learnt. One object for all environments of a run: those that train change
// it, those of validation read it.
struct WrapStatistics {
  std::vector<RunningStatistics> observations;  // [O]
  RunningStatistics returns;

  void save(State& state) const;
  void load(const State& state);
};

// The environment behind what the settings ask for; itself when they ask for nothing. In this
// order: time limit; one_hot, normalisation, frame stack; scale, normalisation, clip.
//
// Normalised observation: clip((o - mean) / sqrt(variance + 1e-8)), with the statistics of all
// observations so far, this one among them: at each step those of the rows that acted, in their
// order, and at each reset its own. Normalised reward: r / sqrt(variance + 1e-8), of the return
// R <- discount R + r of each row, which a reset sets to 0 (Engstrom et al. 2020, "Implementation
// matters in deep RL", section 3). Where rewards change, Outcomes::earned has them as they were.
//
// `shared` may be null where nothing is normalised. Opened for validation, an environment leaves
// the statistics as they are; opened for training, it saves them with itself.
std::unique_ptr<Environment> wrapped(std::unique_ptr<Environment> inner,
                                     const WrapSettings& settings, double discount,
                                     std::shared_ptr<WrapStatistics> shared);

}  // namespace lathe
