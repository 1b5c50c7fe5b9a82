#include <lathe/run/workers.h>

#include <lathe/base/error.h>

#include <algorithm>

namespace lathe {
namespace {
constexpr std::int32_t resumed = -1;  // in place of a worker: the order breaks off here
}  // namespace

// One worker with everything of its own.
struct Workers::Worker {
  WorkerParts parts;
  std::unique_ptr<Arena> arena;
  Learner learner;
  std::int64_t batches = 0;  // taken from the feed
  std::int64_t actions = 0;  // taken by its feed, as of its last gradient
  Gathered gathered;
  double progress = 0;  // of the run, when it fetched the weights
  bool go = true;       // its thread may find the next gradient
  bool busy = false;    // it is about it
  std::condition_variable wake;
  std::exception_ptr failure;
  std::thread thread;
};

Workers::Workers(Session& session, std::vector<std::int32_t> recorded)
    : session_(session), recorded_(std::move(recorded)) {
  const bool free = session.asynchronous.order == "free";
  session.backend->synchronise();
  for (std::int64_t number = 0; number < session.asynchronous.workers; ++number) {
    auto worker = std::make_unique<Worker>();
    worker->parts = session.make_worker(number, free);
    ModelCopy& copy = *worker->parts.copy;
    copy.parameters.backend()->synchronise();
    worker->arena = std::make_unique<Arena>(copy.parameters.backend());
    worker->learner = {.model = copy.model.get(),
                       .parameters = &copy.parameters,
                       .objective = worker->parts.objective.get(),
                       .feed = worker->parts.feed.get(),
                       .arena = worker->arena.get(),
                       .tokenizer = session.tokenizer.get(),
                       .seed = session.seed};
    workers_.push_back(std::move(worker));
  }
}

Workers::~Workers() { stop_threads(); }

void Workers::find_gradient(Worker& worker) {
  const std::int64_t count = session_.train.accumulation;
  worker.gathered = gather(worker.learner, worker.batches, count, worker.progress);
  // On a device each backend has a queue of its own: what one writes, another reads after a wait.
  worker.learner.parameters->backend()->synchronise();
  worker.batches += count;
}

void Workers::work(Worker& worker) {
  std::unique_lock lock(mutex_);
  while (true) {
    worker.wake.wait(lock, [&] { return worker.go || stopping_; });
    if (stopping_) return;
    worker.go = false;
    worker.busy = true;
    lock.unlock();
    try {
      find_gradient(worker);
    } catch (...) {
      worker.failure = std::current_exception();
    }
    lock.lock();
    worker.busy = false;
    ready_.push_back(&worker);
    arrived_.notify_all();
  }
}

void Workers::start_threads() {
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) continue;
    worker->thread = std::thread([this, &worker] { work(*worker); });
  }
}

void Workers::stop_threads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& worker : workers_) worker->wake.notify_all();
  }
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  stopping_ = false;
}

std::size_t Workers::number_of(const Worker& worker) const {
  std::size_t number = 0;
  while (workers_[number].get() != &worker) ++number;
  return number;
}

Workers::Arrival Workers::next(std::int64_t step) {
  const std::string& order = session_.asynchronous.order;
  if (order == "free") {
    std::unique_lock lock(mutex_);
    start_threads();
    arrived_.wait(lock, [&] { return !ready_.empty(); });
    current_ = ready_.front();
    ready_.pop_front();
    if (current_->failure) std::rethrow_exception(current_->failure);
  } else if (order == "seeded") {
    const RandomStream draw(session_.seed, "workers", static_cast<std::uint64_t>(step));
    current_ = workers_[draw.below(workers_.size(), 0)].get();
    find_gradient(*current_);
  } else {
    const auto at = static_cast<std::size_t>(step);
    if (at >= recorded_.size()) {
      fail("the recorded order of workers ends after ", recorded_.size(),
           " steps: lower train.steps to that");
    }
    if (recorded_[at] == resumed) {
      fail("the recorded run was stopped and resumed at step ", step,
           "; only a free run in one piece can be replayed");
    }
    if (recorded_[at] >= static_cast<std::int32_t>(workers_.size())) {
      fail("the recorded order has a worker ", recorded_[at], ", but asynchronous.workers is ",
           workers_.size(), ": give both runs the same number");
    }
    current_ = workers_[static_cast<std::size_t>(recorded_[at])].get();
    find_gradient(*current_);
  }
  // Its thread waits for applied(). What others have found counts when its turn has come.
  current_->actions = current_->parts.feed->actions_taken();
  order_.push_back(static_cast<std::int32_t>(number_of(*current_)));
  return {current_->gathered, current_->learner.parameters->gradient()};
}

void Workers::applied(std::int64_t step) {
  const std::lock_guard lock(mutex_);
  session_.backend->synchronise();
  current_->parts.copy->take(session_.parameters);
  session_.backend->synchronise();
  current_->parts.copy->parameters.backend()->synchronise();
  current_->progress = static_cast<double>(step + 1) / static_cast<double>(session_.train.steps);
  current_->go = true;
  current_->wake.notify_one();
}

std::int64_t Workers::actions_taken() {
  const std::lock_guard lock(mutex_);
  std::int64_t taken = 0;
  for (const auto& worker : workers_) taken += worker->actions;
  return taken;
}

// Until no thread is at work: then everything may be read.
void Workers::wait_for_all(std::unique_lock<std::mutex>& lock) {
  arrived_.wait(lock, [&] {
    return std::none_of(workers_.begin(), workers_.end(), [](const auto& worker) {
      return worker->busy || (worker->go && worker->thread.joinable());
    });
  });
}

void Workers::save(State& state) {
  std::unique_lock lock(mutex_);
  wait_for_all(lock);
  state.put("order", order_);
  for (std::size_t number = 0; number < workers_.size(); ++number) {
    const Worker& worker = *workers_[number];
    State own, copy, objective, feed;
    worker.parts.copy->save(copy);
    worker.parts.objective->save(objective);
    worker.parts.feed->save(feed);
    own.put("copy", copy);
    own.put("objective", objective);
    own.put("feed", feed);
    own.put("batches", worker.batches);
    own.put("progress", worker.progress);
    state.put(cat(number), own);
  }
}

void Workers::load(const State& state) {
  order_ = state.get<std::int32_t>("order");
  if (session_.asynchronous.order == "free") order_.push_back(resumed);
  for (std::size_t number = 0; number < workers_.size(); ++number) {
    Worker& worker = *workers_[number];
    const State own = state.part(cat(number));
    worker.parts.copy->load(own.part("copy"));
    worker.parts.objective->load(own.part("objective"));
    worker.parts.feed->load(own.part("feed"));
    worker.actions = worker.parts.feed->actions_taken();
    worker.batches = own.integer("batches");
    worker.progress = own.number("progress");
  }
}

}  // namespace lathe
