// What every launcher promises: each job once, in its folder, its words as they are, its end told.
#include <lathe/base/file.h>
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/study/launcher.h>

#include <algorithm>
#include <filesystem>

namespace lathe::conform {
namespace {

// Jobs of /bin/sh in a folder of their own, and what a launcher says of them.
struct Jobs {
  Folder folder;
  std::vector<Job> all;
  std::vector<std::size_t> begun;
  std::vector<int> told;  // how often the end of each was
  std::vector<JobEnd> ends;
  std::function<bool()> stopping = [] { return false; };

  void add(const std::string& script, const std::vector<std::string>& words = {}) {
    Job job{.name = cat("job ", all.size()),
            .command = {"/bin/sh", "-c", script, "sh"},
            .folder = folder.path(),
            .log = std::filesystem::path(folder.path()) / cat("log.", all.size())};
    job.command.insert(job.command.end(), words.begin(), words.end());
    all.push_back(std::move(job));
  }
  std::string log(std::size_t job) const {
    const std::string file = all[job].log.string();
    return exists(file) ? read_file(file) : "";
  }
  void run(const Trial& trial, const Config& options) {
    told.assign(all.size(), 0);
    ends.resize(all.size());
    const auto launcher = trial.make<Launcher>(options);
    trial.phase("running ", all.size(), " jobs");
    launcher->run({.jobs = all,
                   .began = [&](std::size_t job) { begun.push_back(job); },
                   .ended =
                       [&](std::size_t job, const JobEnd& end) {
                         if (job >= all.size()) fail("it told the end of a job ", job);
                         ++told[job];
                         ends[job] = end;
                       },
                   .stopping = [&] { return stopping(); }});
    for (std::size_t job = 0; job < all.size(); ++job) {
      trial.expect_equal(told[job], 1, "times that the end of job ", job, " was told");
    }
    trial.expect(std::is_sorted(begun.begin(), begun.end()), "jobs began out of their order");
  }
};

std::string exercise(Trial& trial, const Config& options) {
  Jobs jobs;
  for (const int code : {0, 3, 0}) jobs.add(cat("echo out ", code, "; exit ", code));
  jobs.run(trial, options);
  Digest digest;
  for (std::size_t job = 0; job < jobs.all.size(); ++job) {
    digest.add(jobs.ends[job].code).add(jobs.log(job));
  }
  return digest.hex();
}

void each_once(Trial& trial) {
  Jobs jobs;
  for (int i = 0; i < 7; ++i) jobs.add("echo once >> \"$1\"", {cat("file.", i)});
  jobs.run(trial, trial.options());
  for (int i = 0; i < 7; ++i) {
    const std::string file = jobs.folder.path() + cat("/file.", i);
    trial.expect_equal(exists(file) ? read_file(file) : "", "once\n", "what job ", i,
                       " wrote in its folder");
  }
  trial.expect_equal(jobs.begun.size(), 7U, "jobs that it told to have begun");
}

void codes(Trial& trial) {
  Jobs jobs;
  jobs.add("exit 3");
  jobs.add("kill -KILL $$");
  jobs.add("exit 0");
  jobs.all.push_back({.name = "nothing",
                      .command = {"/no/such/program"},
                      .folder = jobs.folder.path(),
                      .log = std::filesystem::path(jobs.folder.path()) / "log.3"});
  jobs.run(trial, trial.options());
  const int wanted[] = {3, 137, 0, 127};
  for (std::size_t job = 0; job < 4; ++job) {
    trial.expect_equal(jobs.ends[job].code, wanted[job], "the code of job ", job);
    trial.expect(jobs.ends[job].begun, "job ", job, " is told not to have begun");
    trial.expect(jobs.ends[job].seconds >= 0 && jobs.ends[job].seconds < 60, "job ", job, " took ",
                 jobs.ends[job].seconds, " s");
  }
}

void words_as_they_are(Trial& trial) {
  const std::vector<std::string> words = {"two words", "", "$HOME", "a'b\"c", "*", "~k", "-x"};
  Jobs jobs;
  jobs.add("for word in \"$@\"; do printf '<%s>' \"$word\"; done; pwd >&2", words);
  write_durably(jobs.all[0].log.string(), "before\n");
  jobs.run(trial, trial.options());
  std::string wanted = "before\n";
  for (const std::string& word : words) wanted += "<" + word + ">";
  wanted += std::filesystem::canonical(jobs.folder.path()).string() + "\n";
  trial.expect_equal(jobs.log(0), wanted, "the log of words, folder and standard error");
}

// The first job of each slot waits for SIGTERM; jobs behind them are never begun.
void stops(Trial& trial) {
  Jobs jobs;
  constexpr std::size_t count = 40;  // more than the slots of a small launcher
  for (std::size_t i = 0; i < count; ++i) {
    jobs.add("trap 'exit 75' TERM; echo ready; while :; do sleep 0.02; done");
  }
  jobs.stopping = [&] {
    return !jobs.begun.empty() &&
           std::all_of(jobs.begun.begin(), jobs.begun.end(),
                       [&](std::size_t job) { return !jobs.log(job).empty(); });
  };
  jobs.run(trial, trial.options());
  std::size_t stopped = 0, never = 0;
  for (const JobEnd& end : jobs.ends) {
    if (!end.begun) {
      ++never;
    } else {
      ++stopped;
      trial.expect_equal(end.code, 75, "the code of a job that was stopped");
    }
  }
  trial.expect_equal(stopped, jobs.begun.size(), "jobs of which it told the end");
  trial.expect_equal(stopped + never, count, "jobs that were stopped or never begun");
  trial.expect(never > 0, "every job was begun");
}

void nothing(Trial& trial) {
  Jobs jobs;
  jobs.run(trial, trial.options());
  Jobs late;
  late.add("echo ran > ran");
  late.stopping = [] { return true; };
  late.run(trial, trial.options());
  trial.expect(!late.ends[0].begun && !exists(late.folder.path() + "/ran"),
               "it began a job though it was to stop");
}
}  // namespace

Suite launcher_suite() {
  // Pinning asks for processors that the machine of a test may not have.
  Config fitting = Config::table({});
  fitting = fitting.with("slots", Config::integer(2)).with("pin", Config::boolean(false));
  return {.kind = "launcher",
          .fitting = fitting,
          .exercise = exercise,
          .tests = {
              {"each_once", 1, "each job runs once, in its folder", each_once},
              {"codes", 1, "codes, signals and programs that do not exist are told", codes},
              {"words", 2, "words stay as they are, and logs grow at their end", words_as_they_are},
              {"nothing", 2, "no jobs are no work; after a stop none begins", nothing},
              {"stops", 3, "a stop reaches every job, and those that wait never begin", stops}}};
}

}  // namespace lathe::conform
