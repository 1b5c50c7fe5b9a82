#include "temporaries.h"

#include <lathe/base/error.h>

#include <algorithm>
#include <utility>

namespace lathe::cuda {

void Temporaries::begin_noting() {
  noting_ = true;
  most_ = 0;
  sizes_.clear();
  used_.clear();
  noted_.clear();
}

// Sizes are rounded up to 256 bytes, so that all places are aligned.
std::size_t Temporaries::place(std::size_t bytes) {
  const std::size_t size = (bytes + 255) / 256 * 256;
  std::size_t offset = 0;
  for (const auto& [begin, length] : used_) {
    if (offset + size <= begin) break;
    offset = begin + length;
  }
  used_.emplace(offset, size);
  most_ = std::max(most_, offset + size);
  return offset;
}

void Temporaries::note_take(void* data, std::size_t bytes) {
  if (!noting_) return;
  sizes_.push_back(bytes);
  noted_[data] = place(bytes);
}

void Temporaries::begin_serving(void* block) {
  block_ = static_cast<std::byte*>(block);
  limit_ = most_;
  served_ = 0;
  used_.clear();
}

void* Temporaries::take(std::size_t bytes) {
  if (served_ == sizes_.size() || sizes_[served_] != bytes) {
    fail("cuda: work that is recorded asks for other memory than it did before");
  }
  ++served_;
  const std::size_t offset = place(bytes);
  if (most_ > limit_) fail("cuda: work that is recorded holds more memory than it did before");
  return block_ + offset;
}

bool Temporaries::give(void* data) {
  if (serves()) {
    const auto* at = static_cast<std::byte*>(data);
    if (at >= block_ && at < block_ + most_) {
      used_.erase(static_cast<std::size_t>(at - block_));
    } else {
      late_.push_back(data);
    }
    return true;
  }
  const auto noted = noted_.find(data);
  if (noted != noted_.end()) {
    used_.erase(noted->second);
    noted_.erase(noted);
  }
  return false;
}

std::vector<void*> Temporaries::unserved() { return std::exchange(late_, {}); }

}  // namespace lathe::cuda
