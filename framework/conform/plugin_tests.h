// Tests that the author of a plugin writes beside it, in NAME_test.cpp; `lathe test` runs them.
//
//   void past_the_budget(Trial& trial) {
//     const auto reward = trial.make<Reward>("budget = 2\nprice = 0.5");
//     ...
//     trial.expect_near(scores.values[0], -0.5, 1e-12, "the score of three tokens");
//   }
//
//   class BrevityTests final : public PluginTests {
//    public:
//     Subject subject() const override { return {"reward", "brevity"}; }
//     std::vector<Test> tests() const override {
//       return {{"past_the_budget", 1, "each token past the budget costs the price",
//                past_the_budget}};
//     }
//   };
//   LATHE_PLUGIN(PluginTests, BrevityTests, "brevity_test", "1.0.0")
#pragma once

#include <lathe/conform/suite.h>
#include <lathe/plugin/plugin.h>

#include <vector>

namespace lathe::conform {

class PluginTests {
 public:
  static constexpr const char* kind = "test";
  static constexpr int interface_version = 1;

  virtual ~PluginTests();
  // The component under test. Options in `given` hold in every test; else it has its defaults.
  virtual Subject subject() const = 0;
  // In the order in which they run, each in a process of its own. Their levels count as for
  // `lathe conform`.
  virtual std::vector<Test> tests() const = 0;
};

}  // namespace lathe::conform
