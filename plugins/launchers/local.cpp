// Launcher "local": the cells of a sweep as processes of this machine, several at once.
//
//   [launcher]
//   use = "local"
//   slots = 4
//   threads = 2
//
// A cell begins as soon as a slot is free. Results are the same at any number of slots and threads.
// `pin` is for a machine of one's own: it keeps each slot to processors of its own, which spares
// the cells each other's caches, but other programs on these processors then hold them up. When the
// sweep is asked to stop, so is each cell; one that has not saved itself after `grace` seconds is
// killed.
#include <lathe/base/clock.h>
#include <lathe/base/process.h>
#include <lathe/plugin/plugin.h>
#include <lathe/study/launcher.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

namespace lathe {

class LocalLauncher final : public Launcher {
 public:
  struct Options : Keys {
    int slots = key("slots", 0, "cells that run at once; 0: one for each processor",
                    between(0, 4096), affects_runtime);
    int threads = key("threads", 0, "threads of a cell; 0: the processors, shared out to the slots",
                      between(0, 4096), affects_runtime);
    bool pin = key("pin", false, "keep each slot to processors of its own", affects_runtime);
    double grace =
        key("grace", 120.0, "seconds in which a cell must save itself when it is stopped",
            at_least(0), affects_runtime);
  };
  explicit LocalLauncher(const Config& config) : with_(config) {}

  void run(const Launch& launch) override {
    std::vector<Slot> slots = free_slots(launch.jobs.size());
    std::size_t next = 0;
    bool stopped = false;
    double stopped_at = 0;
    for (;;) {
      if (!stopped && launch.stopping()) {
        stopped = true;
        stopped_at = steady_seconds();
        for (Slot& slot : slots) {
          if (slot.program) slot.program->stop();
        }
      }
      bool busy = false;
      for (Slot& slot : slots) {
        if (slot.program && slot.program->ended()) end(slot, launch);
        if (!slot.program && !stopped && next < launch.jobs.size()) begin(slot, next++, launch);
        if (!slot.program) continue;
        busy = true;
        if (stopped && steady_seconds() - stopped_at > with_.grace) slot.program->abort();
      }
      if (!busy && (stopped || next == launch.jobs.size())) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (; next < launch.jobs.size(); ++next) launch.ended(next, {.code = 0, .begun = false});
  }

 private:
  struct Slot {
    std::vector<int> processors;         // to keep to; empty: all
    std::size_t threads = 1;             // of a job
    std::unique_ptr<Companion> program;  // none: the slot is free
    std::size_t job = 0;
    double begun = 0;
  };

  // At most as many as there are jobs, so that few jobs share all processors.
  std::vector<Slot> free_slots(std::size_t jobs) const {
    const std::vector<int> processors = own_processors();
    const std::size_t wanted =
        with_.slots > 0 ? static_cast<std::size_t>(with_.slots) : processors.size();
    std::vector<Slot> slots(std::max<std::size_t>(1, std::min(wanted, jobs)));
    const std::size_t threads = with_.threads > 0
                                    ? static_cast<std::size_t>(with_.threads)
                                    : std::max<std::size_t>(1, processors.size() / slots.size());
    const bool enough = slots.size() * threads <= processors.size();
    if (with_.pin && !enough) {
      fail("pin: ", slots.size(), " slots of ", threads, " threads need ", slots.size() * threads,
           " processors, and there are ", processors.size(), ": take fewer slots or threads");
    }
    for (std::size_t s = 0; s < slots.size(); ++s) {
      slots[s].threads = threads;
      if (!with_.pin) continue;
      const auto first = processors.begin() + static_cast<std::ptrdiff_t>(s * threads);
      slots[s].processors.assign(first, first + static_cast<std::ptrdiff_t>(threads));
    }
    return slots;
  }

  static void begin(Slot& slot, std::size_t number, const Launch& launch) {
    const Job& job = launch.jobs[number];
    slot.job = number;
    slot.begun = steady_seconds();
    // Passive: threads that wait for work must not take it from the other slots.
    slot.program = std::make_unique<Companion>(ProgramStart{
        .words = job.command,
        .folder = job.folder,
        .output = job.log,
        .environment = {{"OMP_NUM_THREADS", cat(slot.threads)}, {"OMP_WAIT_POLICY", "passive"}},
        .processors = slot.processors,
        .apart = true});
    launch.began(number);
  }

  static void end(Slot& slot, const Launch& launch) {
    const JobEnd end{
        .code = slot.program->wait(), .begun = true, .seconds = steady_seconds() - slot.begun};
    slot.program.reset();
    launch.ended(slot.job, end);
  }

  Options with_;
};

LATHE_PLUGIN(Launcher, LocalLauncher, "local", "1.0.0")
}  // namespace lathe
