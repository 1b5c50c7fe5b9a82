#include "panels.h"

#include <lathe/base/memory.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/gemm.h"
#include "onednn.h"

namespace lathe {
namespace {
// Packing a weight that comes from memory costs the time of three to six products with it; panels
// save an eighth to a quarter of each.
constexpr int uses_that_pay = 24;
// Small weights gain at once: as many as half of a L2 keeps, in products of so few rows.
constexpr std::size_t small_floats = std::size_t{128} << 10;
constexpr std::int64_t small_rows = 8;
constexpr std::size_t block_bytes = std::size_t{64}
                                    << 20;  // large: huge pages; unused ones are free

// Whether as much memory can be had and an eighth of all is left.
bool is_affordable(std::size_t bytes) {
  const MemoryLeft left = memory_left();
  return left.total == 0 || bytes + left.total / 8 <= left.available;
}

// Of this thread: what repeat() runs, and what hold() announced.
thread_local WeightPanels* running = nullptr;
thread_local std::unique_ptr<WeightPanels> at_rest;

class Running {
 public:
  explicit Running(WeightPanels* panels) : before_(std::exchange(running, panels)) {}
  ~Running() { running = before_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  WeightPanels* before_;
};

struct PanelRecording final : Backend::Recording {
  std::vector<const void*> memory;
  std::shared_ptr<WeightPanels> panels;
};
}  // namespace

std::shared_ptr<WeightPanels> PanelStore::on(std::vector<const void*> addresses) {
  std::sort(addresses.begin(), addresses.end());
  const std::lock_guard lock(mutex_);
  std::erase_if(all_, [](const auto& each) { return each.expired(); });
  for (const auto& each : all_) {
    auto panels = each.lock();
    if (panels && panels->addresses() == addresses) return panels;
  }
  auto panels = std::make_shared<WeightPanels>(*this, std::move(addresses));
  all_.push_back(panels);
  return panels;
}

PanelStore::Block PanelStore::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  for (auto block = spare_.begin(); block != spare_.end(); ++block) {
    if ((*block)->size() < bytes) continue;
    Block found = std::move(*block);
    spare_.erase(block);
    return found;
  }
  if (!is_affordable(bytes)) return nullptr;
  auto block = std::make_unique<Workspace>();
  block->get(std::max(bytes, block_bytes));
  return block;
}

void PanelStore::give_back(Block block) {
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(block));
}

WeightPanels::WeightPanels(PanelStore& store, std::vector<const void*> addresses)
    : store_(store), addresses_(std::move(addresses)) {
  std::sort(addresses_.begin(), addresses_.end());
}

WeightPanels::WeightPanels(PanelStore& store, const View& memory) : store_(store) {
  if (!memory.is_dense()) return;
  begin_ = static_cast<const std::byte*>(memory.data);
  end_ = begin_ + static_cast<std::size_t>(memory.count()) * size_of(memory.dtype);
}

WeightPanels::~WeightPanels() {
  for (auto& block : blocks_) store_.give_back(std::move(block));
}

float* WeightPanels::room(std::size_t floats) {
  const std::size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
  if (blocks_.empty() || used_ + bytes > blocks_.back()->size()) {
    auto block = store_.take(bytes);
    if (!block) return nullptr;
    blocks_.push_back(std::move(block));
    used_ = 0;
  }
  auto* at = static_cast<std::byte*>(blocks_.back()->get(0)) + used_;
  used_ += bytes;
  return reinterpret_cast<float*>(at);
}

bool WeightPanels::rests(const void* at) const {
  const auto* byte = static_cast<const std::byte*>(at);
  return (byte >= begin_ && byte < end_) ||
         std::binary_search(addresses_.begin(), addresses_.end(), at);
}

const float* WeightPanels::of(const View& weight, std::int64_t rows) {
  if (rows > kernels::few_rows || !weight.is_dense() || !rests(weight.data)) return nullptr;
  Weight& known = weights_[weight.data];
  if (known.panels != nullptr) {
    return weight.shape == known.shape && rows <= known.most_rows ? known.panels : nullptr;
  }
  const std::int64_t out = weight.shape[0], in = weight.shape[1];
  const std::size_t floats = kernels::panel_floats(out, in, weight.dtype);
  const bool small = small_ + floats <= small_floats;
  if (floats == 0 || (small && rows > small_rows)) return nullptr;
  if (!small && ++known.uses != uses_that_pay) return nullptr;
  float* panels = room(floats);
  if (panels == nullptr) return nullptr;
  kernels::pack_panels({.n = out,
                        .k = in,
                        .b = weight.data,
                        .b_row = 1,
                        .b_column = in,
                        .type = weight.dtype,
                        .panels = panels});
  if (small) small_ += floats;
  known.shape = weight.shape;
  known.most_rows = small ? small_rows : kernels::few_rows;
  known.panels = panels;
  return panels;
}

void OnednnBackend::hold(const View& memory) {
  at_rest.reset();
  if (makes_panels()) at_rest = std::make_unique<WeightPanels>(panels_, memory);
}

void OnednnBackend::let_go() { at_rest.reset(); }

void OnednnBackend::repeat(std::unique_ptr<Recording>& recording,
                           const std::function<std::vector<const void*>()>& memory,
                           const std::function<void()>& work) {
  if (!makes_panels()) return work();
  if (!recording) recording = std::make_unique<PanelRecording>();
  auto& own = static_cast<PanelRecording&>(*recording);
  std::vector<const void*> now = memory();
  if (!own.panels || own.memory != now) {
    own.panels = panels_.on(now);
    own.memory = std::move(now);
  }
  const Running inside(own.panels.get());
  work();
}

const float* OnednnBackend::panels_of(const View& weight, std::int64_t rows) {
  WeightPanels* panels = running != nullptr ? running : at_rest.get();
  return panels != nullptr ? panels->of(weight, rows) : nullptr;
}

}  // namespace lathe
