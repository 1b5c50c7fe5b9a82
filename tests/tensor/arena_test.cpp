#include <cstring>

#include "support.h"

namespace lathe {
namespace {
using namespace testing_tensors;

// Counts what is asked of the system, and finds blocks that lie over one another.
class Blocks {
 public:
  void* add(std::shared_ptr<Storage> storage) {
    void* data = storage->data();
    blocks_.push_back(std::move(storage));
    return data;
  }
  void free(std::size_t i) { blocks_[i].reset(); }
  // Writes each live block full of its number, then reads them all.
  void expect_apart() const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i]) std::memset(blocks_[i]->data(), static_cast<int>(i + 1), blocks_[i]->bytes());
    }
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (!blocks_[i]) continue;
      const auto* bytes = static_cast<const unsigned char*>(blocks_[i]->data());
      for (std::size_t at = 0; at < blocks_[i]->bytes(); ++at) ASSERT_EQ(bytes[at], i + 1) << i;
    }
  }

 private:
  std::vector<std::shared_ptr<Storage>> blocks_;
};

// A program of one step: a number above 0 asks for that many bytes, -n frees the n-th block (from
// 1). What is left is freed inside of the step. Gives the addresses.
std::vector<void*> run(Arena& arena, const std::string& key, const std::vector<int>& program) {
  std::vector<void*> addresses;
  Arena::Step step(arena, key);
  Blocks blocks;
  for (const int line : program) {
    if (line < 0) {
      blocks.free(static_cast<std::size_t>(-line - 1));
    } else {
      addresses.push_back(blocks.add(arena.allocate(static_cast<std::size_t>(line))));
    }
    blocks.expect_apart();
  }
  return addresses;
}

// A is freed before C is born, so that C takes its place: the peak is A + B = 64 + 128.
const std::vector<int> program{64, 128, -1, 64, -2, -3};

TEST(Arena, ReplaysItsPlan) {
  Arena arena(reference());
  run(arena, "train", program);
  EXPECT_EQ(arena.system_allocations(), 3u);  // the recording step goes in loose blocks
  EXPECT_EQ(arena.planned_bytes(), 192u);
  const auto first = run(arena, "train", program);
  EXPECT_EQ(arena.system_allocations(), 4u);  // the slab
  EXPECT_EQ(arena.slab_bytes(), 192u);
  EXPECT_EQ(first[0], first[2]);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(arena, "train", program), first);
  EXPECT_EQ(arena.system_allocations(), 4u);
}

TEST(Arena, RoundsToTheAlignmentOfTheBackend) {
  Arena arena(reference());
  for (int i = 0; i < 2; ++i) {
    for (void* address : run(arena, "odd", {1, 65, 0})) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(address) % reference()->alignment(), 0u);
    }
  }
  EXPECT_EQ(arena.planned_bytes(), 64u + 128 + 64);
}

TEST(Arena, StepsWithOtherKeysShareTheSlab) {
  Arena arena(reference());
  const std::vector<int> larger{256, 64, -1};
  run(arena, "train", program);
  run(arena, "evaluate", larger);
  const auto evaluated = run(arena, "evaluate", larger);
  EXPECT_EQ(arena.slab_bytes(), 320u);
  const std::uint64_t before = arena.system_allocations();
  const auto trained = run(arena, "train", program);
  EXPECT_EQ(run(arena, "evaluate", larger), evaluated);
  EXPECT_EQ(run(arena, "train", program), trained);
  EXPECT_EQ(arena.system_allocations(), before);
  EXPECT_EQ(arena.slab_bytes(), 320u);
  // One slab: the largest block of one key lies where a block of the other does.
  EXPECT_EQ(evaluated[0], trained[1]);
}

TEST(Arena, AnotherSizeDepartsFromThePlanAndIsPlannedAnew) {
  Arena arena(reference());
  run(arena, "train", program);
  run(arena, "train", program);
  const std::vector<int> other{64, 1024, -1, 64, -2, -3};
  run(arena, "train", other);  // blocks stay apart: run() looks
  const std::uint64_t before = arena.system_allocations();
  const auto first = run(arena, "train", other);
  EXPECT_EQ(arena.system_allocations(), before + 1);  // a larger slab
  EXPECT_EQ(arena.slab_bytes(), 1088u);
  EXPECT_EQ(run(arena, "train", other), first);
  EXPECT_EQ(arena.system_allocations(), before + 1);
}

TEST(Arena, AnotherOrderOfFreesDoesNotOverlap) {
  Arena arena(reference());
  run(arena, "train", program);
  run(arena, "train", program);
  run(arena, "train", {64, 128, 64, -1, -2, -3});         // A still lives when C is born
  run(arena, "train", {64, 128, 64, -1, -2, -3});         // its own plan
  run(arena, "train", {64, 128, -2, 64, -1, 128, -3});    // B freed first
  run(arena, "train", {64, 128, -2, 64, -1});             // fewer events
  run(arena, "train", {64, 128, -2, 64, -1, 64, 64, 8});  // more
}

TEST(Arena, AFailedStepLeavesTheNextOnesWhole) {
  Arena arena(reference());
  run(arena, "train", program);
  run(arena, "train", program);
  try {
    Arena::Step step(arena, "train");
    const auto block = arena.allocate(64);
    fail("on the way");
  } catch (const Error&) {
  }
  EXPECT_EQ(Arena::current(), nullptr);
  run(arena, "train", program);
  const auto first = run(arena, "train", program);
  EXPECT_EQ(run(arena, "train", program), first);
}

TEST(Arena, ATensorMayOutliveItsStep) {
  Arena arena(reference());
  run(arena, "train", program);
  run(arena, "train", program);
  std::shared_ptr<Storage> kept;
  {
    Arena::Step step(arena, "train");
    kept = arena.allocate(64);  // in the slab by the plan, which foresees its free
  }
  std::memset(kept->data(), 77, 64);
  for (int i = 0; i < 3; ++i) run(arena, "train", program);
  for (std::size_t i = 0; i < 64; ++i) {
    ASSERT_EQ(static_cast<const unsigned char*>(kept->data())[i], 77);
  }
}

TEST(Arena, ResultsOfAStepLieOutsideOfTheSlab) {
  Arena arena(reference());
  std::vector<Tensor> results;
  for (int i = 0; i < 4; ++i) {
    Arena::Step step(arena, "step");
    const Tensor a = Tensor::full(reference(), {8}, DType::f64, i);
    results.push_back(add(a, a));
  }
  EXPECT_EQ(arena.planned_bytes(), 64u);  // a alone
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i)].values(), Values(8, 2.0 * i));
  }
}

TEST(Arena, BlocksOutliveTheArena) {
  std::shared_ptr<Storage> kept;
  {
    Arena arena(reference());
    for (int i = 0; i < 2; ++i) {
      Arena::Step step(arena, "step");
      kept = arena.allocate(64);
      arena.allocate(64);
    }
  }
  std::memset(kept->data(), 1, 64);
}

TEST(Arena, ATrainingStepAsksTheSystemForNothing) {
  Arena arena(reference());
  Tensor w = leaf(random_tensor({6, 5}, "w"));
  const Tensor x = random_tensor({7, 5}, "x");
  std::vector<Values> gradients;
  std::vector<std::uint64_t> allocations;
  for (int i = 0; i < 4; ++i) {
    {
      Arena::Step step(arena, "train");
      Tape tape;
      tape.backward(mean(square(linear(x, w, {}, Activation::silu))));
      gradients.push_back(gradient_of(w).values());
      w = leaf(w.detached());  // its gradient goes back within the step
    }
    allocations.push_back(arena.system_allocations());
  }
  EXPECT_EQ(allocations[1], allocations[0] + 1);
  EXPECT_EQ(allocations[3], allocations[1]);
  for (const Values& gradient : gradients) EXPECT_EQ(gradient, gradients[0]);
}

TEST(Arena, ABackendOfAnotherTensorIsNotTheArenas) {
  Arena arena(reference());
  const std::shared_ptr<Backend> other = backend_named("reference");
  Arena::Step step(arena, "step");
  EXPECT_EQ(Tensor::empty(other, {3}, DType::f64).shared_backend(), other);
  EXPECT_EQ(Tensor::empty(reference(), {3}, DType::f64).shared_backend(), reference());
}

}  // namespace
}  // namespace lathe
