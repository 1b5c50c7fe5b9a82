#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/log.h>
#include <lathe/base/random.h>
#include <lathe/io/checkpoint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "../base/faulty_files.h"
#include "../base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::FaultyFiles;
using testing::TemporaryFolder;

const std::string folder = "run/checkpoints";

// The contents say which save they come from, so that a mixture would show.
std::vector<CheckpointFile> contents(const std::string& mark) {
  return {CheckpointFile::text("weights.safetensors", "weights " + mark + std::string(20, 'w')),
          CheckpointFile::text("state.json", "{\"mark\":\"" + mark + "\"}")};
}

std::string mark_in(FileSystem& files, const std::string& path) {
  const std::string state = read_file(files, path + "/state.json");
  const std::string mark = state.substr(9, state.size() - 11);
  EXPECT_EQ(read_file(files, path + "/weights.safetensors"),
            "weights " + mark + std::string(20, 'w'));
  return mark;
}

std::string newest_mark(FileSystem& files) {
  const FoundCheckpoint found = find_newest_verified(files, folder);
  return found ? mark_in(files, found.path) : "none";
}

class Quiet {
 public:
  Quiet() { ::testing::internal::CaptureStderr(); }
  ~Quiet() { ::testing::internal::GetCapturedStderr(); }
};

TEST(Checkpoint, SavesVerifiesAndFinds) {
  const TemporaryFolder temporary;
  const std::string here = temporary / "a/checkpoints";
  EXPECT_FALSE(find_newest_verified(real_files(), here));
  Checkpoints checkpoints(real_files(), here, 2);
  const std::vector<float> weights(1000, 1.5f);
  const std::vector<CheckpointFile> both = {
      CheckpointFile::view("w.bin", std::as_bytes(std::span(weights))),
      CheckpointFile::text("state.json", "{}")};
  EXPECT_EQ(checkpoints.save(12, both), here + "/00000012");
  EXPECT_EQ(checkpoints.save(123456789, both), here + "/123456789");
  const FoundCheckpoint found = find_newest_verified(real_files(), here);
  EXPECT_EQ(found.step, 123456789);
  EXPECT_TRUE(found.rejected.empty());
  const CheckpointManifest manifest = verify_checkpoint(real_files(), found.path);
  ASSERT_EQ(manifest.files.size(), 2u);
  EXPECT_EQ(manifest.files[1].name, "w.bin");
  EXPECT_EQ(manifest.files[1].size, 4000u);
  EXPECT_EQ(list_folder(real_files(), here).size(), 2u);
}

TEST(Checkpoint, KeepsTheLastTheBestAndNothingElse) {
  FaultyFiles files;
  Checkpoints checkpoints(files, folder, 2);
  for (int step = 1; step <= 6; ++step) {
    checkpoints.save(step, contents(std::to_string(step)));
    if (step == 2) checkpoints.mark_best(2);
    EXPECT_EQ(newest_mark(files), std::to_string(step));
  }
  EXPECT_EQ(checkpoints.steps(), (std::vector<std::int64_t>{2, 5, 6}));
  EXPECT_EQ(checkpoints.best(), 2);
  checkpoints.mark_best(6);
  checkpoints.save(7, contents("7"));
  EXPECT_EQ(checkpoints.steps(), (std::vector<std::int64_t>{6, 7}));
  EXPECT_THROW(checkpoints.mark_best(3), Error);
  checkpoints.discard_after(6);
  EXPECT_EQ(checkpoints.steps(), std::vector<std::int64_t>{6});
  EXPECT_EQ(files.paths().size(), 7u);  // two folders, one checkpoint with three files, best.json
}

// After falling back past a damaged newer step, a save of an older step must stay.
TEST(Checkpoint, RotationSparesTheOneJustSavedBelowADamagedOne) {
  FaultyFiles files;
  Checkpoints checkpoints(files, folder, 1);
  checkpoints.save(20, contents("20"));
  files.set_content(folder + "/00000020/state.json", "{}");
  const Quiet quiet;
  checkpoints.save(12, contents("12"));
  checkpoints.save(13, contents("13"));
  EXPECT_EQ(newest_mark(files), "13");
  EXPECT_EQ(checkpoints.steps(), (std::vector<std::int64_t>{13, 20}));
  checkpoints.save(20, contents("again"));  // replaces the damaged one
  EXPECT_EQ(newest_mark(files), "again");
}

TEST(Checkpoint, RefusesBadNamesAndSizes) {
  FaultyFiles files;
  EXPECT_THROW(Checkpoints(files, folder, 0), Error);
  Checkpoints checkpoints(files, folder, 1);
  const auto refuses = [&](std::vector<CheckpointFile> list) {
    EXPECT_THROW(checkpoints.save(1, list), Error);
    EXPECT_EQ(files.paths().size(), 2u);
  };
  refuses({CheckpointFile::text("../x", "")});
  refuses({CheckpointFile::text("manifest.json", "")});
  refuses({CheckpointFile::text("a", ""), CheckpointFile::text("a", "")});
  CheckpointFile wrong = CheckpointFile::text("a", "123");
  wrong.size = 4;
  refuses({wrong});
  EXPECT_THROW(checkpoints.save(-1, contents("x")), Error);
}

TEST(Checkpoint, LooksForRoomBeforeWriting) {
  FaultyFiles files;
  Checkpoints checkpoints(files, folder, 1);
  files.space = 10000;
  const int before = files.operations;
  const std::vector<CheckpointFile> big = {CheckpointFile::text("a", std::string(9000, 'x'))};
  const std::string text = error_of([&] { checkpoints.save(1, big); });
  EXPECT_NE(text.find("18911 bytes needed (a tenth to spare), 10000 bytes free"), std::string::npos)
      << text;
  EXPECT_EQ(files.operations, before);
}

// What a kernel may keep at a crash: nothing unsynced, all, or chances in between.
std::vector<FaultyFiles::Choose> crash_outcomes() {
  std::vector<FaultyFiles::Choose> outcomes = {[](std::size_t) { return std::size_t{0}; },
                                               [](std::size_t n) { return n - 1; }};
  for (std::uint64_t chance = 0; chance < 8; ++chance) {
    outcomes.push_back(
        [stream = RandomStream(chance, "crash"), i = std::uint64_t{0}](std::size_t n) mutable {
          return static_cast<std::size_t>(stream.below(n, i++));
        });
  }
  return outcomes;
}

// `prepare` brings a file system to the state before, `act` is interrupted at operation n.
template <class Prepare, class Act, class Check>
void at_every_operation(Prepare prepare, Act act, Check check) {
  const Quiet quiet;
  int points = 0;
  struct Fault {
    int error;
    bool persistent, short_write;
  };
  for (const Fault fault :
       {Fault{ENOSPC, false, false}, Fault{ENOSPC, true, false}, Fault{EIO, false, false},
        Fault{EIO, true, false}, Fault{EINTR, false, false}, Fault{ENOSPC, false, true}}) {
    for (const auto& outcome : crash_outcomes()) {
      for (int n = 1;; ++n) {
        FaultyFiles files;
        prepare(files);
        files.fail_at = files.operations + n;
        files.error = fault.error;
        files.persistent = fault.persistent;
        files.short_write = fault.short_write;
        bool succeeded = true;
        try {
          act(files);
        } catch (const Error&) {
          succeeded = false;
        }
        const bool finished = files.operations < files.fail_at;
        files.fail_at = 0;
        check(files, succeeded);
        files.crash(outcome);
        check(files, succeeded);
        // The next start tidies up and can save.
        Checkpoints checkpoints(files, folder, 1);
        check(files, succeeded);
        checkpoints.save(9, contents("9"));
        ASSERT_EQ(newest_mark(files), "9");
        for (const std::string& path : files.paths()) {
          ASSERT_EQ(path.find("tmp."), std::string::npos) << path;
          ASSERT_EQ(path.find(".old"), std::string::npos) << path;
        }
        if (finished) break;
        ++points;
      }
    }
  }
  EXPECT_GT(points, 1000);
}

void save_new(FaultyFiles& files, std::int64_t step) {
  Checkpoints(files, folder, 1).save(step, contents("new"));
}

void expect_old_or_new(FaultyFiles& files, bool succeeded) {
  const std::string mark = newest_mark(files);
  ASSERT_TRUE(mark == "new" || (mark == "old" && !succeeded)) << mark;
}

TEST(Checkpoint, EveryFaultAndCrashLeavesTheOldOrTheNew) {
  at_every_operation(
      [](FaultyFiles& files) { Checkpoints(files, folder, 1).save(1, contents("old")); },
      [](FaultyFiles& files) { save_new(files, 2); },
      [](FaultyFiles& files, bool succeeded) {
        expect_old_or_new(files, succeeded);
        // Nor does a half-written or half-deleted one ever bear the name of a whole one.
        for (const std::string& name : list_folder(files, folder)) {
          if (!name.starts_with("tmp.")) {
            ASSERT_NO_THROW(verify_checkpoint(files, join(folder, name))) << name;
          }
        }
      });
}

TEST(Checkpoint, EveryFaultAndCrashWhileReplacingAStep) {
  at_every_operation(
      [](FaultyFiles& files) { Checkpoints(files, folder, 1).save(1, contents("old")); },
      [](FaultyFiles& files) { save_new(files, 1); }, expect_old_or_new);
}

// The whole one has stepped aside and what bears its name is damaged.
TEST(Checkpoint, EveryFaultAndCrashWhileReplacingADamagedStep) {
  at_every_operation(
      [](FaultyFiles& files) {
        Checkpoints(files, folder, 1).save(1, contents("old"));
        const std::string path = folder + "/00000001";
        files.rename(path, path + ".old");
        files.make_folder(path);
        files.sync_folder(folder);
      },
      [](FaultyFiles& files) { save_new(files, 1); }, expect_old_or_new);
}

// The very first save has nothing to fall back to, but must never give a wrong one.
TEST(Checkpoint, EveryFaultAndCrashOfTheFirstSave) {
  at_every_operation(
      [](FaultyFiles&) {},
      [](FaultyFiles& files) { Checkpoints(files, folder, 1).save(2, contents("new")); },
      [](FaultyFiles& files, bool succeeded) {
        const std::string mark = newest_mark(files);
        ASSERT_TRUE(mark == "new" || (mark == "none" && !succeeded)) << mark;
      });
}

// The gate itself: a save without the syncs must be caught by the crash model.
TEST(Checkpoint, ASkippedSyncIsCaught) {
  FaultyFiles files;
  Checkpoints(files, folder, 1).save(1, contents("old"));
  files.make_folder(folder + "/00000002");
  { File(files, folder + "/00000002/state.json", OpenFor::writing).write("x"); }
  files.sync_folder(folder);
  files.crash();
  const Quiet quiet;
  const FoundCheckpoint found = find_newest_verified(files, folder);
  EXPECT_EQ(found.step, 1);
  ASSERT_EQ(found.rejected.size(), 1u);
  EXPECT_NE(found.rejected[0].reason.find("incomplete"), std::string::npos);
}

TEST(Checkpoint, EveryFlippedBitAndEveryTruncationIsDetected) {
  const Quiet quiet;
  FaultyFiles files;
  Checkpoints checkpoints(files, folder, 2);
  checkpoints.save(1, contents("old"));
  const std::string path = checkpoints.save(2, contents("new"));
  int cases = 0;
  const auto is_rejected = [&] {
    ++cases;
    try {
      verify_checkpoint(files, path);
    } catch (const Error&) {
      return true;
    }
    return false;
  };
  for (const std::string& name : list_folder(files, path)) {
    const std::string file = join(path, name);
    const std::string good = files.content(file);
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
        files.set_content(file, bad);
        ASSERT_TRUE(is_rejected()) << name << " byte " << at << " bit " << bit;
      }
      files.set_content(file, good.substr(0, at));
      ASSERT_TRUE(is_rejected()) << name << " cut at " << at;
    }
    files.set_content(file, good + "\n");
    ASSERT_TRUE(is_rejected());
    EXPECT_EQ(newest_mark(files), "old");
    files.set_content(file, good);
  }
  EXPECT_GT(cases, 3000);
  EXPECT_EQ(newest_mark(files), "new");
  { File(files, path + "/extra", OpenFor::writing).write("x"); }
  EXPECT_TRUE(is_rejected());
  files.remove_file(path + "/extra");
  files.remove_file(path + "/state.json");
  EXPECT_TRUE(is_rejected());
  EXPECT_EQ(newest_mark(files), "old");
}

TEST(Checkpoint, FallingBackIsLoud) {
  FaultyFiles files;
  Checkpoints checkpoints(files, folder, 2);
  checkpoints.save(1, contents("old"));
  checkpoints.save(2, contents("new"));
  files.set_content(folder + "/00000002/state.json", "{\"mark\":\"neq\"}");
  ::testing::internal::CaptureStderr();
  const FoundCheckpoint found = find_newest_verified(files, folder);
  const std::string said = ::testing::internal::GetCapturedStderr();
  ASSERT_EQ(found.rejected.size(), 1u);
  EXPECT_EQ(found.rejected[0].path, folder + "/00000002");
  EXPECT_NE(found.rejected[0].reason.find("state.json: damaged"), std::string::npos);
  EXPECT_NE(said.find("warning: checkpoint run/checkpoints/00000002 is not usable"),
            std::string::npos);
  EXPECT_NE(said.find("falling back to checkpoint run/checkpoints/00000001"), std::string::npos);
}

TEST(Checkpoint, SurvivesBeingKilled) {
  const Quiet quiet;
  const TemporaryFolder temporary;
  const std::string here = temporary / "c";
  std::int64_t last = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Checkpoints checkpoints(real_files(), here, 1);
      for (std::int64_t step = last + 1;; ++step) {
        checkpoints.save(step, contents(std::to_string(step)));
      }
    }
    ::usleep(static_cast<useconds_t>(5000 + RandomStream(1, "kill").below(20000, round)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const FoundCheckpoint found = find_newest_verified(real_files(), here);
    ASSERT_TRUE(found || last == 0);
    if (!found) continue;
    ASSERT_EQ(mark_in(real_files(), found.path), std::to_string(found.step));
    ASSERT_GE(found.step, last);
    last = found.step;
  }
  EXPECT_GT(last, 0);
}

}  // namespace
}  // namespace lathe
