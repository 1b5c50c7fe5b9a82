// Memory for the tensors of one step: planned once, replayed after.
//
// The first step with a given key records which blocks are asked for and when each is freed. From
// that, every block gets a fixed place in one slab (blocks whose lives overlap never share bytes).
// Later steps with the same key replay the plan: no call to the system, the least memory. A step
// that departs from its plan (another size, another order of frees) goes on in loose blocks and is
// planned anew. Nothing here changes a result: a block is zero-filled only where its op says so.
#pragma once

#include <lathe/tensor/backend.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

class Arena;

// Device memory of one call to the backend.
struct Slab {
  // Zero-filled. `told`: what hears of blocks that are freed, while it lives; none for loose ones.
  Slab(std::shared_ptr<Backend> owner, std::size_t size, std::shared_ptr<Arena*> told = nullptr);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  std::shared_ptr<Backend> backend;
  std::shared_ptr<Arena*> arena;
  void* data;
  std::size_t bytes;
};

// One block of device memory: a slab of its own, or a part of one that it keeps alive.
class Storage {
 private:
  struct Part {
    std::shared_ptr<Slab> slab;
    void* data;
    std::size_t bytes;
    std::uint64_t step;
    std::size_t event;
  };

 public:
  Storage(std::shared_ptr<Backend> backend, std::size_t bytes);  // loose, zero-filled
  explicit Storage(Part part) : part_(std::move(part)) {}        // an arena's
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return part_.data; }
  std::size_t bytes() const { return part_.bytes; }
  Backend& backend() const { return *part_.slab->backend; }
  const std::shared_ptr<Backend>& shared_backend() const { return part_.slab->backend; }

 private:
  friend class Arena;
  Part part_;  // step and event: of the arena, which is told of the free while the step is the same
};

class Arena {
 public:
  explicit Arena(std::shared_ptr<Backend> backend);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A step: steps with the same key are expected to ask for the same blocks.
  void begin(const std::string& key);
  void end();

  std::shared_ptr<Storage> allocate(std::size_t bytes);
  bool serves(const Backend& backend) const { return backend_.get() == &backend; }

  // Where the blocks of planned steps lie; null before the first of them.
  const void* slab() const;
  // For the report and the tests.
  std::size_t slab_bytes() const;     // of the current slab
  std::size_t planned_bytes() const;  // the largest sum of live blocks in any plan
  std::uint64_t system_allocations() const { return system_allocations_; }

  // The arena that new tensors of this thread come from, or null.
  static Arena* current();

  // Makes an arena the current one and opens a step.
  class Step {
   public:
    Step(Arena& arena, const std::string& key);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    Arena& arena_;
    Arena* before_;
  };

 private:
  friend class Storage;
  static constexpr std::size_t still_alive = ~std::size_t{0};

  struct Block {
    std::size_t bytes = 0;
    std::size_t born = 0;             // index of the event
    std::size_t freed = still_alive;  // index of the event
    std::size_t offset = 0;           // in the slab; unused when it outlives the step
  };
  // Events are numbered through a step: the birth or the free of a block.
  struct Plan {
    std::vector<Block> blocks;
    std::vector<std::int64_t> events;  // block b born: b; freed: -1 - b
    std::size_t slab = 0;
    std::size_t peak = 0;
    bool ready = false;
  };

  void freed(std::uint64_t step, std::size_t block);
  bool expect(std::int64_t event);
  void lay_out(Plan& plan);
  std::shared_ptr<Slab> fresh_slab(std::size_t bytes);

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<Arena*> self_ = std::make_shared<Arena*>(this);  // null after its life
  std::map<std::string, Plan> plans_;
  std::shared_ptr<Slab> slab_;
  Plan* plan_ = nullptr;  // of the step under way
  Plan recorded_;         // what this step does
  bool replaying_ = false;
  bool inside_ = false;
  std::uint64_t step_ = 0;
  std::uint64_t system_allocations_ = 0;
};

}  // namespace lathe
