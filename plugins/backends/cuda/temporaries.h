// Where the temporaries of recorded work lie.
//
// Memory that work takes and gives back while it is recorded must be there at each replay, at the
// same place. It lies in one block that the recording owns, laid out by what the work took when it
// last ran: so the recording holds launches alone. The other way, cudaMallocAsync inside of the
// recording, makes each a node of the graph, which the driver maps when the graph starts.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

namespace lathe::cuda {

class Temporaries {
 public:
  // Between these, what is taken elsewhere is noted.
  void begin_noting();
  void end_noting() { noting_ = false; }
  void note_take(void* data, std::size_t bytes);

  // What was noted: the sizes in the order in which they were asked for, and the bytes that hold
  // them all. Blocks that are still held count as taken for good.
  const std::vector<std::size_t>& sizes() const { return sizes_; }
  std::size_t bytes() const { return most_; }
  bool all_given() const { return noted_.empty(); }

  // Between these, the same sizes in the same order come out of a block of bytes().
  void begin_serving(void* block);
  void end_serving() { block_ = nullptr; }
  bool serves() const { return block_ != nullptr; }
  // Error where the work asks for something else than it was noted to.
  void* take(std::size_t bytes);

  // True: the block was of the served ones. One that was taken before must not be given back while
  // these are served: it is kept for unserved().
  bool give(void* data);
  std::vector<void*> unserved();

 private:
  std::size_t place(std::size_t bytes);  // the lowest that is free

  bool noting_ = false;
  std::byte* block_ = nullptr;
  std::size_t served_ = 0;  // how many
  std::size_t most_ = 0;
  std::size_t limit_ = 0;
  std::vector<std::size_t> sizes_;
  std::map<std::size_t, std::size_t> used_;  // offset to bytes
  std::map<void*, std::size_t> noted_;       // block to offset
  std::vector<void*> late_;
};

}  // namespace lathe::cuda
