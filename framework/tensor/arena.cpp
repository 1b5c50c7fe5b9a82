#include <lathe/tensor/arena.h>

#include <algorithm>
#include <numeric>

namespace lathe {
namespace {
thread_local Arena* current_arena = nullptr;

std::size_t rounded(std::size_t bytes, std::size_t step) {
  return (bytes + step - 1) / step * step;
}
}  // namespace

Slab::Slab(std::shared_ptr<Backend> owner, std::size_t size, std::shared_ptr<Arena*> told)
    : backend(std::move(owner)),
      arena(std::move(told)),
      data(backend->allocate(size)),
      bytes(size) {}

Slab::~Slab() { backend->release(data, bytes); }

Storage::Storage(std::shared_ptr<Backend> backend, std::size_t bytes)
    : part_{std::make_shared<Slab>(std::move(backend), bytes), nullptr, bytes, 0, 0} {
  part_.data = part_.slab->data;
}

Storage::~Storage() {
  const std::shared_ptr<Arena*>& arena = part_.slab->arena;
  if (arena && *arena != nullptr) (*arena)->freed(part_.step, part_.event);
}

Arena::Arena(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {}
Arena::~Arena() { *self_ = nullptr; }

Arena* Arena::current() { return current_arena; }

void Arena::begin(const std::string& key) {
  if (inside_) fail("a step of the arena was begun before the last one ended");
  inside_ = true;
  ++step_;
  recorded_.blocks.clear();  // keeps their memory
  recorded_.events.clear();
  plan_ = &plans_[key];
  replaying_ = plan_->ready;
  if (!replaying_) return;
  // A tensor that outlived its step keeps the old slab; this step then takes a fresh one.
  if (!slab_ || slab_->bytes < plan_->slab || slab_.use_count() > 1) {
    slab_.reset();
    slab_ = fresh_slab(plan_->slab);
  }
}

void Arena::end() {
  inside_ = false;
  const bool complete = replaying_ && recorded_.events.size() == plan_->events.size();
  if (!complete) {
    lay_out(recorded_);
    *plan_ = std::move(recorded_);
    recorded_ = Plan{};
  }
  replaying_ = false;
  plan_ = nullptr;
}

// Notes an event; false from the first one that the plan does not foresee.
bool Arena::expect(std::int64_t event) {
  const std::size_t index = recorded_.events.size();
  recorded_.events.push_back(event);
  if (replaying_ && (index >= plan_->events.size() || plan_->events[index] != event)) {
    replaying_ = false;
  }
  return replaying_;
}

std::shared_ptr<Slab> Arena::fresh_slab(std::size_t bytes) {
  ++system_allocations_;
  return std::make_shared<Slab>(backend_, bytes, self_);
}

std::shared_ptr<Storage> Arena::allocate(std::size_t bytes) {
  if (!inside_) return std::make_shared<Storage>(backend_, bytes);
  const std::size_t size = rounded(std::max<std::size_t>(bytes, 1), backend_->alignment());
  const std::size_t index = recorded_.blocks.size();
  Block block;
  block.bytes = size;
  block.born = recorded_.events.size();
  if (replaying_ && (index >= plan_->blocks.size() || plan_->blocks[index].bytes != size)) {
    replaying_ = false;
  }
  const bool planned = expect(static_cast<std::int64_t>(index));
  recorded_.blocks.push_back(block);

  if (planned && plan_->blocks[index].freed != still_alive) {
    void* data = static_cast<std::byte*>(slab_->data) + plan_->blocks[index].offset;
    return std::make_shared<Storage>(Storage::Part{slab_, data, size, step_, index});
  }
  std::shared_ptr<Slab> own = fresh_slab(size);
  void* data = own->data;
  return std::make_shared<Storage>(Storage::Part{std::move(own), data, size, step_, index});
}

void Arena::freed(std::uint64_t step, std::size_t block) {
  if (!inside_ || step != step_) return;
  recorded_.blocks[block].freed = recorded_.events.size();
  expect(-1 - static_cast<std::int64_t>(block));
}

// Greedy by size: the largest block first, each at the lowest place that is free all its life.
void Arena::lay_out(Plan& plan) {
  std::vector<std::size_t> order(plan.blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t b) { return plan.blocks[b].freed == still_alive; });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return plan.blocks[a].bytes > plan.blocks[b].bytes;
  });
  std::vector<const Block*> placed;  // sorted by offset
  plan.slab = 0;
  for (const std::size_t index : order) {
    Block& block = plan.blocks[index];
    std::size_t offset = 0;
    for (const Block* other : placed) {
      const bool together = other->born < block.freed && block.born < other->freed;
      if (!together) continue;
      if (offset + block.bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    block.offset = offset;
    plan.slab = std::max(plan.slab, offset + block.bytes);
    const auto place =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [](std::size_t at, const Block* other) { return at < other->offset; });
    placed.insert(place, &block);
  }
  std::size_t live = 0;
  plan.peak = 0;
  for (const std::int64_t event : plan.events) {
    const std::size_t b = static_cast<std::size_t>(event >= 0 ? event : -1 - event);
    if (plan.blocks[b].freed == still_alive) continue;
    live = event >= 0 ? live + plan.blocks[b].bytes : live - plan.blocks[b].bytes;
    plan.peak = std::max(plan.peak, live);
  }
  plan.ready = true;
}

const void* Arena::slab() const { return slab_ ? slab_->data : nullptr; }

std::size_t Arena::slab_bytes() const { return slab_ ? slab_->bytes : 0; }

std::size_t Arena::planned_bytes() const {
  std::size_t most = 0;
  for (const auto& [key, plan] : plans_) most = std::max(most, plan.peak);
  return most;
}

Arena::Step::Step(Arena& arena, const std::string& key) : arena_(arena), before_(current_arena) {
  arena_.begin(key);
  current_arena = &arena_;
}

Arena::Step::~Step() {
  arena_.end();
  current_arena = before_;
}

}  // namespace lathe
