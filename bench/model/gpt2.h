// GPT-2 124M as an experiment on random tokens, through the same Session and Trainer as `lathe
// run`.
#pragma once

#include <lathe/run/session.h>
#include <lathe/run/trainer.h>

#include <cstdint>
#include <map>
#include <string>

namespace lathe::bench {

struct Gpt2Setup {
  std::int64_t batch = 4;     // B
  std::int64_t length = 256;  // T
  std::string precision = "f32";
  std::string backend = "onednn";
  bool deterministic = false;      // of backend cuda
  std::string matmul = "own";      // of backend onednn
  std::string recompute = "none";  // of model gpt or encoder
  bool small = false;              // one narrow layer instead, to try a program
  bool timed = false;              // take the time of every op
  bool masked = false;             // an encoder of the same size, by the objective "masked" (joint)
};

Experiment gpt2_experiment(const Gpt2Setup& setup, Registry& registry);
Registry& registry();  // with the components that the experiment names

struct Gpt2 {
  explicit Gpt2(const Gpt2Setup& setup)
      : experiment(gpt2_experiment(setup, registry())),
        session(experiment, registry(), SessionRequest()),
        trainer(session) {}

  Experiment experiment;
  Session session;
  Trainer trainer;
};

// Time and calls of each op since the last clear(), with `timed`.
struct OpTime {
  double seconds = 0;
  double processor_seconds = 0;  // of all threads
  std::int64_t calls = 0;
};
std::map<std::string, OpTime>& op_times();

double seconds_now();
double processor_seconds_now();  // of all threads of this process
double resident_gigabytes();     // the most that this process has held so far

}  // namespace lathe::bench
