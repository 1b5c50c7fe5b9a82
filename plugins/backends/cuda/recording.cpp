// Work that is done over and over: run plainly until nothing about it changes any more, then
// recorded as a CUDA graph, then replayed.
#include <lathe/base/error.h>

#include <utility>

#include "cuda.h"

namespace lathe {

class CudaBackend::Recorded final : public Recording {
 public:
  explicit Recorded(CudaBackend& backend) : backend_(backend) {}
  ~Recorded() override { drop(); }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  void run(const std::vector<const void*>& before,
           const std::function<std::vector<const void*>()>& memory,
           const std::function<void()>& work);

 private:
  using Memory = std::vector<const void*>;

  void run_plainly(const std::function<Memory()>& memory, const std::function<void()>& work);
  bool record(const std::function<Memory()>& memory, const std::function<void()>& work);
  void drop();

  CudaBackend& backend_;
  cuda::Graph graph_ = nullptr;
  void* block_ = nullptr;  // of its temporaries
  std::size_t bytes_ = 0;
  Memory memory_;                   // that the last run, or the recording, stands on
  std::vector<std::size_t> sizes_;  // of the temporaries of the last run
  bool settled_ = false;            // the last two runs were alike
  bool refused_ = false;
};

// Products are measured, kernels loaded and the arena laid out while work runs plainly. It is
// recorded when a run took the same temporaries as the one before it, on the same memory.
void CudaBackend::Recorded::run(const Memory& before, const std::function<Memory()>& memory,
                                const std::function<void()>& work) {
  if (refused_) return work();
  if (memory_ != before) {
    drop();
    settled_ = false;
  }
  if (graph_ == nullptr) {
    if (!settled_ || !record(memory, work)) return run_plainly(memory, work);
    ++backend_.repeats_.recorded;
  } else {
    ++backend_.repeats_.replayed;
  }
  cuda::start_graph(graph_, backend_.stream_);
}

void CudaBackend::Recorded::run_plainly(const std::function<Memory()>& memory,
                                        const std::function<void()>& work) {
  cuda::Temporaries& temporaries = backend_.temporaries_;
  temporaries.begin_noting();
  try {
    work();
  } catch (...) {
    temporaries.end_noting();
    throw;
  }
  temporaries.end_noting();
  Memory after = memory();
  settled_ = temporaries.all_given() && temporaries.sizes() == sizes_ && after == memory_;
  sizes_ = temporaries.sizes();
  bytes_ = temporaries.bytes();
  memory_ = std::move(after);
}

// False: nothing was done. What the work throws here, it throws again when it is run plainly.
bool CudaBackend::Recorded::record(const std::function<Memory()>& memory,
                                   const std::function<void()>& work) {
  cuda::Temporaries& temporaries = backend_.temporaries_;
  if (temporaries.sizes() != sizes_) {  // other work was noted since
    settled_ = false;
    return false;
  }
  block_ = backend_.take(bytes_);
  cuda::begin_graph(backend_.stream_);
  temporaries.begin_serving(block_);
  bool whole = true;
  try {
    work();
  } catch (...) {
    whole = false;
  }
  temporaries.end_serving();
  graph_ = cuda::end_graph(backend_.stream_);
  for (void* data : temporaries.unserved()) {
    cuda::give(data, backend_.stream_);
    whole = false;
  }
  if (whole && graph_ != nullptr && memory() == memory_) return true;
  drop();
  refused_ = true;
  ++backend_.repeats_.refused;
  return false;
}

// A graph may still be under way.
void CudaBackend::Recorded::drop() {
  if (block_ == nullptr) return;
  cuda::wait(backend_.stream_);
  cuda::drop_graph(std::exchange(graph_, nullptr));
  backend_.release(std::exchange(block_, nullptr), bytes_);
}

void CudaBackend::repeat(std::unique_ptr<Recording>& recording,
                         const std::function<std::vector<const void*>()>& memory,
                         const std::function<void()>& work) {
  if (temporaries_.serves()) return work();  // a part of other work that is being recorded
  if (!recording) recording = std::make_unique<Recorded>(*this);
  static_cast<Recorded&>(*recording).run(memory(), memory, work);
}

void CudaBackend::demand_no_recording(const char* what) const {
  if (temporaries_.serves()) fail("cuda: ", what, " in work that is recorded");
}

}  // namespace lathe
