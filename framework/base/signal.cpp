#include <lathe/base/error.h>
#include <lathe/base/signal.h>

#include <array>
#include <atomic>
#include <csignal>

namespace lathe {
namespace {

constexpr std::array<int, 3> watched = {SIGTERM, SIGINT, SIGUSR1};

std::atomic<int> caught{0};
std::atomic<bool> in_use{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch nothing else");

void on_signal(int number) {
  int none = 0;
  if (!caught.compare_exchange_strong(none, number) && number == SIGINT && none == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

}  // namespace

struct StopRequest::Former {
  std::array<struct sigaction, watched.size()> actions{};
};

StopRequest::StopRequest() : former_(std::make_unique<Former>()) {
  if (in_use.exchange(true)) fail("StopRequest: only one may live at a time");
  caught = 0;
  for (std::size_t i = 0; i < watched.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(watched[i], &action, &former_->actions[i]);
  }
}

StopRequest::~StopRequest() {
  for (std::size_t i = 0; i < watched.size(); ++i) {
    ::sigaction(watched[i], &former_->actions[i], nullptr);
  }
  in_use = false;
}

int StopRequest::signal() const { return caught; }

}  // namespace lathe
