// What a run with train.start began with, and what of it is needed to go on.
#include <gtest/gtest.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint.h>
#include <lathe/run/manifest.h>
#include <lathe/run/run.h>
#include <lathe/run/state_files.h>

#include <filesystem>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::hash_of;
using testing::Tiny;

class Start : public ::testing::Test {
 protected:
  Start() : tiny_(testing::tiny_sums) { set_log_quiet(true); }
  ~Start() override { set_log_quiet(false); }

  RunResult run_with(const std::vector<std::string>& changes, const std::string& name,
                     bool extend = false) {
    return run(tiny_.experiment(changes), tiny_.registry(),
               {.arguments = {},
                .folder = tiny_ / name,
                .work_folder = tiny_.path(),
                .extend = extend,
                .progress = ProgressStyle::quiet});
  }
  // Of the model that the run "later" compares with when it goes on.
  std::string initial_hash() {
    const Experiment experiment = tiny_.experiment(later);
    const Session session(experiment, tiny_.registry(),
                          {.work_folder = tiny_.path(),
                           .tokenizer_folder = tiny_ / "later",
                           .start = read_manifest(tiny_ / "later").start});
    return hash_of(session.initial_model()->parameters.master());
  }
  void expect_lost(const std::string& what) {
    const std::string message = error_of([&] { initial_hash(); });
    for (const std::string& part :
         {std::string("the weights that this run began with (train.start), of the SHA-256 "),
          read_manifest(tiny_ / "later").start->sha256, std::string("put them back"), what}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }

  Tiny tiny_;
  const std::vector<std::string> later = {"train.steps=2", "train.start=first"};
};

TEST_F(Start, IsTheCheckpointThatTheRunBeganWith) {
  run_with({"train.steps=4"}, "first");
  run_with(later, "later");
  const auto start = read_manifest(tiny_ / "later").start;
  ASSERT_TRUE(start);
  const std::string checkpoint = tiny_ / "first/checkpoints/00000004";
  EXPECT_EQ(start->checkpoint, checkpoint);
  EXPECT_EQ(start->sha256, sha256_of_file(checkpoint + "/weights.safetensors"));
  EXPECT_FALSE(read_manifest(tiny_ / "first").start);
  const std::string began = initial_hash();

  // The other run has become better since, or has moved.
  run_with({"train.steps=9"}, "first", true);
  ASSERT_NE(checkpoint_of(tiny_ / "first", true), checkpoint);
  EXPECT_EQ(initial_hash(), began);
  std::filesystem::rename(tiny_ / "first", tiny_ / "away");
  expect_lost(checkpoint + "/weights.safetensors is not there");
  std::filesystem::rename(tiny_ / "away", tiny_ / "first");

  // It has been done anew, to other weights.
  std::filesystem::remove_all(tiny_ / "first");
  run_with({"train.steps=4", "seed=5"}, "first");
  expect_lost(sha256_of_file(checkpoint + "/weights.safetensors"));
}

TEST_F(Start, IsNotNeededWhereNothingIsComparedWithIt) {
  run_with({"train.steps=4"}, "first");
  run_with(later, "later");
  std::filesystem::remove_all(tiny_ / "first");
  EXPECT_EQ(run_with({"train.steps=5", "train.start=first"}, "later", true).step, 5);
}

}  // namespace
}  // namespace lathe
