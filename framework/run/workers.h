// Asynchronous learning (Mnih et al., 2016): workers with copies of the model act and find
// gradients on their own; each gradient is applied to the shared weights as it comes, and its
// worker goes on with what the weights are by then.
//
// A worker fetches the weights in the same instant in which its gradient is applied. So a run is
// decided by the order in which the workers' gradients arrive, a list of numbers:
//   seeded   drawn from the seed; one thread
//   free     as threads come in; the order is recorded
//   replay   as recorded in another run; the same bits as that run
#pragma once

#include <lathe/run/gather.h>
#include <lathe/run/session.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace lathe {

class Workers {
 public:
  Workers(Session& session, std::vector<std::int32_t> recorded);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // The next gradient, found with the weights that its worker fetched last, and whose it is. The
  // caller applies it to the session's weights and then calls applied().
  struct Arrival {
    Gathered gathered;
    Tensor gradient;  // flat, of the worker
  };
  Arrival next(std::int64_t step);
  void applied(std::int64_t step);

  std::int64_t actions_taken();
  // Between steps. A free run that goes on from a checkpoint has lost the gradients under way, so
  // its order cannot be replayed any more.
  void save(State& state);
  void load(const State& state);

 private:
  struct Worker;
  void work(Worker& worker);  // of a thread
  void find_gradient(Worker& worker);
  void start_threads();
  void stop_threads();
  void wait_for_all(std::unique_lock<std::mutex>& lock);
  std::size_t number_of(const Worker& worker) const;

  Session& session_;
  std::vector<std::int32_t> recorded_;  // to be replayed
  std::vector<std::int32_t> order_;     // so far
  std::vector<std::unique_ptr<Worker>> workers_;
  Worker* current_ = nullptr;  // whose gradient is being applied

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Worker*> ready_;
  bool stopping_ = false;
};

}  // namespace lathe
