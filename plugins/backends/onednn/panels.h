// Weights that rest, once more in the order in which products of few rows read them
// (kernels/gemm.h): those of a policy that acts (Backend::hold), and those of text that is being
// written (Backend::repeat). Large ones are then read as fast as memory gives them.
#pragma once

#include <lathe/tensor/backend.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "workspace.h"

namespace lathe {

class WeightPanels;

// What the recordings of a backend share.
class PanelStore {
 public:
  // The panels of work that stands on the same addresses, that is of one decoder, whose recordings
  // for different numbers of rows share them.
  std::shared_ptr<WeightPanels> on(std::vector<const void*> addresses);

  // Memory for some panels, at least as much; null when the machine has too little. It is kept
  // from one text to the next: having it cleared by the system costs more than the copy.
  using Block = std::unique_ptr<Workspace>;
  Block take(std::size_t bytes);
  void give_back(Block block);

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<WeightPanels>> all_;
  std::vector<Block> spare_;
};

// The panels of the weights that rest for a while.
class WeightPanels {
 public:
  // The weights of one piece of work, each at one of these addresses. What lies elsewhere may be
  // the result of an op, another one each time.
  WeightPanels(PanelStore& store, std::vector<const void*> addresses);
  // The weights that lie in this memory.
  WeightPanels(PanelStore& store, const View& memory);
  ~WeightPanels();
  WeightPanels(const WeightPanels&) = delete;
  WeightPanels& operator=(const WeightPanels&) = delete;
  const std::vector<const void*>& addresses() const { return addresses_; }

  // The panels of a weight [out, in] for a product of so many rows, or null: where it does not
  // rest, is laid out otherwise than row by row, or gains nothing (yet) by panels.
  const float* of(const View& weight, std::int64_t rows);

 private:
  struct Weight {
    int uses = 0;
    Shape shape;
    std::int64_t most_rows = 0;
    const float* panels = nullptr;
  };
  bool rests(const void* at) const;
  float* room(std::size_t floats);  // or null

  PanelStore& store_;
  std::vector<const void*> addresses_;  // sorted
  const std::byte *begin_ = nullptr, *end_ = nullptr;
  std::unordered_map<const void*, Weight> weights_;
  std::size_t small_ = 0;  // floats in panels of small weights
  std::vector<PanelStore::Block> blocks_;
  std::size_t used_ = 0;  // bytes of the last block
};

}  // namespace lathe
