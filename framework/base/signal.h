// Being asked to stop: a scheduler's SIGTERM or SIGUSR1, or Ctrl-C.
#pragma once

#include <memory>

namespace lathe {

// While one lives, SIGTERM, SIGINT and SIGUSR1 only set a flag; the loop finishes its step, saves
// and leaves. A second SIGINT ends the process at once, for people who cannot wait. The former
// handlers come back at the end. One at a time.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  bool requested() const { return signal() != 0; }
  // The first signal that came, or 0.
  int signal() const;

 private:
  struct Former;
  std::unique_ptr<Former> former_;
};

}  // namespace lathe
