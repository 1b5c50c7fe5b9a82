// Blocks of a grid, run one after the other on the CPU: each thread is a fiber that runs until it
// waits for others or ends.
#undef _FORTIFY_SOURCE  // its longjmp knows one stack only
#include <device/block.h>
#include <device/launch.h>
#include <device/range.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <numeric>
#include <vector>

#include <lathe/base/error.h>
#include <lathe/base/random.h>
#include <lathe/base/threads.h>

#include "memory.h"

namespace lathe::cuda::emulated {
namespace {
constexpr std::size_t stack_bytes = 64 * 1024;

enum class State : std::uint8_t { ready, at_barrier, at_warp_barrier, ended };

// A ucontext begins a fiber on its stack; from then on _setjmp and _longjmp switch, which ask
// nothing of the system.
struct Fiber {
  ucontext_t context{};
  jmp_buf place{};
  bool begun = false;
  std::vector<std::byte> stack = std::vector<std::byte>(stack_bytes);
  State state = State::ended;
  const Block* block = nullptr;
  int exchanges = 0;  // how often this lane has laid down a word
};
}  // namespace

class Team {
 public:
  void run_block(const Block::Place& place, int threads, std::size_t shared_bytes,
                 const std::function<void(const Block&)>& body, std::uint64_t order_key);

  void wait(int thread, State state);
  Fiber& fiber(int thread) { return fibers_[static_cast<std::size_t>(thread)]; }
  WarpWord* words(int warp, int which) {
    return words_.data() +
           (static_cast<std::size_t>(warp) * 2 + static_cast<std::size_t>(which)) * warp_size;
  }
  std::byte* shared() { return shared_.data(); }

 private:
  static void begin_fiber(unsigned low, unsigned high);
  void start(int thread);
  void go_on(int thread);
  bool release(const char* kernel);

  std::deque<Fiber> fibers_;  // a context must not move
  std::vector<WarpWord> words_;
  std::vector<std::byte> shared_;
  ucontext_t scheduler_context_{};
  jmp_buf scheduler_{};
  const std::function<void(const Block&)>* body_ = nullptr;
  std::exception_ptr error_;
  int current_ = 0;
  int threads_ = 0;
};

namespace {
// Never destroyed and made once: fibers are reused from launch to launch.
Team& team() {
  static Team team;
  return team;
}

// A permutation that differs from key to key; key 1 goes straight ahead.
std::vector<int> order_of(int count, std::uint64_t key) {
  std::vector<int> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (key == 1) return order;
  if (key == 2) {
    std::reverse(order.begin(), order.end());
    return order;
  }
  const RandomStream random(key, "order of threads");
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i, i)]);
  }
  return order;
}
}  // namespace

void Team::begin_fiber(unsigned low, unsigned high) {
  auto* team = std::bit_cast<Team*>((std::uint64_t{high} << 32) | low);
  for (;;) {
    const int thread = team->current_;
    Fiber& fiber = team->fiber(thread);
    try {
      (*team->body_)(*fiber.block);
    } catch (...) {
      team->error_ = std::current_exception();
    }
    team->wait(thread, State::ended);
  }
}

void Team::wait(int thread, State state) {
  Fiber& waiting = fiber(thread);
  waiting.state = state;
  if (_setjmp(waiting.place) == 0) _longjmp(scheduler_, 1);
}

// Runs a fiber until it waits.
void Team::go_on(int thread) {
  current_ = thread;
  Fiber& fiber = this->fiber(thread);
  if (_setjmp(scheduler_) != 0) return;
  if (fiber.begun) _longjmp(fiber.place, 1);
  fiber.begun = true;
  swapcontext(&scheduler_context_, &fiber.context);
}

void Team::start(int thread) {
  Fiber& fresh = fiber(thread);
  fresh.begun = false;
  getcontext(&fresh.context);
  fresh.context.uc_stack.ss_sp = fresh.stack.data();
  fresh.context.uc_stack.ss_size = fresh.stack.size();
  fresh.context.uc_link = nullptr;
  const auto address = std::bit_cast<std::uint64_t>(this);
  makecontext(&fresh.context, reinterpret_cast<void (*)()>(&begin_fiber), 2,
              static_cast<unsigned>(address), static_cast<unsigned>(address >> 32));
}

// Lets go whoever waits for nobody any more; false when nothing moved.
bool Team::release(const char* kernel) {
  bool moved = false;
  for (int warp = 0; warp * warp_size < threads_; ++warp) {
    const auto begin = fibers_.begin() + warp * warp_size;
    const auto all = [&](State state) {
      return std::all_of(begin, begin + warp_size,
                         [&](const Fiber& lane) { return lane.state == state; });
    };
    if (!all(State::at_warp_barrier)) continue;
    std::for_each(begin, begin + warp_size, [](Fiber& lane) { lane.state = State::ready; });
    moved = true;
  }
  const auto waiting = std::count_if(fibers_.begin(), fibers_.begin() + threads_,
                                     [](const Fiber& f) { return f.state == State::at_barrier; });
  if (waiting == threads_) {
    std::for_each(fibers_.begin(), fibers_.begin() + threads_,
                  [](Fiber& fiber) { fiber.state = State::ready; });
    moved = true;
  }
  const bool ended = std::all_of(fibers_.begin(), fibers_.begin() + threads_,
                                 [](const Fiber& f) { return f.state == State::ended; });
  if (!moved && !ended) {
    for (int thread = 0; thread < threads_; ++thread) fiber(thread).state = State::ended;
    for (int thread = 0; thread < threads_; ++thread) start(thread);
    fail("kernel ", kernel, ": not all threads come to a barrier (", waiting, " of ", threads_,
         " wait)");
  }
  return moved;
}

void Team::run_block(const Block::Place& place, int threads, std::size_t shared_bytes,
                     const std::function<void(const Block&)>& body, std::uint64_t order_key) {
  threads_ = threads;
  body_ = &body;
  while (fibers_.size() < static_cast<std::size_t>(threads)) {
    fibers_.emplace_back();
    start(static_cast<int>(fibers_.size()) - 1);
  }
  words_.resize(static_cast<std::size_t>(threads) * 2);
  // What nobody wrote is no number, and nobody may write behind the end.
  constexpr std::size_t guard = 64;
  shared_.assign(shared_bytes + guard, std::byte{0xff});
  std::vector<Block> blocks;
  blocks.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) {
    Block::Place own = place;
    own.thread = thread;
    own.threads = threads;
    blocks.emplace_back(*this, own);
    Fiber& mine = fiber(thread);
    mine.block = &blocks.back();
    mine.state = State::ready;
    mine.exchanges = 0;
  }
  const std::vector<int> order = order_of(threads, order_key);
  do {
    for (const int thread : order) {
      if (fiber(thread).state != State::ready) continue;
      go_on(thread);
      if (error_) {
        for (int other = 0; other < threads_; ++other) start(other);
        std::rethrow_exception(std::exchange(error_, nullptr));
      }
    }
  } while (release("emulated"));
  const auto end = shared_.begin() + static_cast<std::ptrdiff_t>(shared_bytes);
  if (std::any_of(end, shared_.end(), [](std::byte b) { return b != std::byte{0xff}; })) {
    fail("a kernel wrote behind its ", shared_bytes, " bytes of shared memory");
  }
}

void barrier(Team& team, int thread) { team.wait(thread, State::at_barrier); }
void warp_barrier(Team& team, int thread) { team.wait(thread, State::at_warp_barrier); }

// Two sets of words take turns, so that one wait is enough.
const WarpWord* exchange(Team& team, int thread, const WarpWord& mine) {
  Fiber& fiber = team.fiber(thread);
  WarpWord* words = team.words(thread / warp_size, fiber.exchanges++ % 2);
  words[thread % warp_size] = mine;
  warp_barrier(team, thread);
  return words;
}

void* shared_memory(Team& team) { return team.shared(); }

void run(const Grid& grid, int threads, std::size_t shared_bytes, const char* kernel,
         const std::function<void(const Block&)>& body) {
  constexpr std::size_t most_shared_bytes = 227 * 1024;  // of compute capability 9.0
  if (shared_bytes > most_shared_bytes) {
    fail("kernel ", kernel, " asks for ", shared_bytes, " bytes of shared memory");
  }
  const Opened opened;
  const auto key = static_cast<std::uint64_t>(lathe::threads());
  const std::int64_t blocks = grid.x * grid.y * grid.z;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::int64_t number = key == 1 ? i : blocks - 1 - i;
    team().run_block({.thread = 0,
                      .threads = threads,
                      .x = number % grid.x,
                      .y = number / grid.x % grid.y,
                      .z = number / grid.x / grid.y,
                      .blocks_x = grid.x,
                      .blocks_y = grid.y},
                     threads, shared_bytes, body, key);
  }
}

std::map<std::string, int>& range_counts() {
  static std::map<std::string, int> counts;
  return counts;
}

}  // namespace lathe::cuda::emulated
