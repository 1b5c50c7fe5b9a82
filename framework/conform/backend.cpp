// What a backend promises: each op against the reference in f64, its bits, its memory.
#include <lathe/base/threads.h>
#include <lathe/conform/op_cases.h>
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lathe::conform {
namespace {
std::string exercise(Trial& trial, const Config& options) {
  const auto backend = trial.make<Backend>(options);
  Digest digest;
  const auto tensor = [&](const Shape& shape, const char* name) {
    auto made = std::make_unique<HostTensor>(*backend, DType::f32, shape, Layout::dense);
    std::vector<double> values;
    const RandomStream own = trial.random(name);
    for (std::int64_t i = 0; i < shape.count(); ++i) {
      values.push_back(own.uniform53(static_cast<std::uint64_t>(i)) - 0.5);
    }
    made->set(values);
    return made;
  };
  // Past one block of any kernel, so that threads share the work.
  const auto x = tensor({300, 70}, "x"), weight = tensor({90, 70}, "weight");
  const auto y = tensor({300, 90}, "y"), dweight = tensor({90, 70}, "dweight");
  backend->linear({.x = x->view(),
                   .weight = weight->view(),
                   .bias = View{},
                   .residual = View{},
                   .activation = Activation::gelu_tanh,
                   .before = View{},
                   .y = y->view()});
  backend->linear_gradient({.x = x->view(),
                            .weight = weight->view(),
                            .activation = Activation::none,
                            .before = View{},
                            .dy = y->view(),
                            .dx = {},
                            .dweight = {dweight->view(), true},
                            .dbias = {}});
  backend->softmax(y->view(), y->view());
  return digest.add(y->get()).add(dweight->get()).add(backend->sum_of_squares(x->view())).hex();
}

void identity(Trial& trial) {
  const auto backend = trial.make<Backend>();
  trial.expect(!backend->device().empty(), "device() says nothing");
  trial.expect(backend->supports(DType::f32), "it does not support f32");
  trial.expect(backend->supports(DType::i32), "it does not support i32");
  const std::size_t alignment = backend->alignment();
  trial.expect(alignment != 0 && (alignment & (alignment - 1)) == 0, "alignment() is ", alignment,
               ", no power of two");
}

// Zero-filled, aligned, apart; and a size that nobody has is refused by number.
void memory(Trial& trial) {
  const auto backend = trial.make<Backend>();
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (const std::size_t bytes : {1u, 64u, 1000u, 1u << 20}) {
    trial.phase("allocating ", bytes, " bytes");
    void* block = backend->allocate(bytes);
    trial.expect(reinterpret_cast<std::uintptr_t>(block) % backend->alignment() == 0, bytes,
                 " bytes are not aligned to ", backend->alignment());
    std::vector<unsigned char> content(bytes, 7);
    backend->download(content.data(), block, bytes);
    trial.expect(std::all_of(content.begin(), content.end(), [](auto c) { return c == 0; }), bytes,
                 " new bytes are not zero");
    const std::vector<unsigned char> pattern(bytes, static_cast<unsigned char>(blocks.size() + 1));
    backend->upload(block, pattern.data(), bytes);
    blocks.emplace_back(block, bytes);
  }
  backend->synchronise();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, bytes] = blocks[i];
    std::vector<unsigned char> content(bytes);
    backend->download(content.data(), block, bytes);
    trial.expect(std::all_of(content.begin(), content.end(), [&](auto c) { return c == i + 1; }),
                 bytes, " bytes did not keep what was written");
    backend->release(block, bytes);
  }
  backend->release(backend->allocate(0), 0);
  const std::size_t absurd = std::numeric_limits<std::size_t>::max() / 4;
  trial.phase("allocating ", absurd, " bytes");
  try {
    backend->allocate(absurd);
    trial.fault("gave ", absurd, " bytes, which no machine has");
  } catch (const Error& error) {
    trial.expect(
        std::string_view(error.what()).find_first_of("0123456789") != std::string_view::npos,
        "the Error of ", absurd, " bytes names no size: ", error.what());
  }
}

// Every op of the list, or the share of them that a level looks at in turn.
template <class Check>
void each_op(Trial& trial, const Check& check) {
  for (const Op op : all_ops()) {
    trial.phase("op ", name_of(op));
    for (const std::string& failure : check(op)) trial.fault(failure);
  }
}

void results(Trial& trial) {
  const auto backend = trial.make<Backend>();
  const auto truth = reference(trial);
  each_op(trial, [&](Op op) { return check_results(op, *backend, *truth); });
}

// One case of each op: enough to see that an op is there at all.
void first_results(Trial& trial) {
  const auto backend = trial.make<Backend>();
  const auto truth = reference(trial);
  each_op(trial, [&](Op op) { return check_results(op, *backend, *truth, 1); });
}

void same_bits(Trial& trial) {
  const auto backend = trial.make<Backend>();
  each_op(trial, [&](Op op) { return check_same_bits(op, *backend); });
}

void gradients(Trial& trial) {
  const auto backend = trial.make<Backend>();
  if (!backend->supports(DType::f64)) {
    trial.skip("it has no f64; its gradient ops are held against those of the reference");
  }
  each_op(trial, [&](Op op) { return check_gradients(op, *backend); });
}

struct Extent {
  std::int64_t M, K, N;
};

// Products of drawn sizes: integers, so that there is one right answer and no rounding.
void products(Trial& trial) {
  const auto backend = trial.make<Backend>();
  const auto truth = reference(trial);
  const RandomStream random = trial.random("sizes");
  const auto drawn = [&](std::uint64_t index) {
    const std::uint64_t most[] = {4, 40, 130, 300};
    return static_cast<std::int64_t>(random.below(most[random.below(4, 10 + index)], index));
  };
  const Extent of{drawn(0), drawn(1), drawn(2)};
  trial.phase("a product of ", of.M, " x ", of.K, " and ", of.K, " x ", of.N);
  const auto filled = [&](Backend& on, const Shape& shape, DType type, const char* name) {
    auto made = std::make_unique<HostTensor>(on, type, shape, Layout::dense);
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.count(); ++i) {
      values.push_back(std::floor(5 * trial.random(name).uniform53(static_cast<std::uint64_t>(i))) -
                       2);
    }
    made->set(values);
    return made;
  };
  std::vector<double> answers[2];
  for (const bool tested : {true, false}) {
    Backend& on = tested ? *backend : *truth;
    const DType type = tested ? DType::f32 : DType::f64;
    const auto a = filled(on, {of.M, of.K}, type, "a"), b = filled(on, {of.K, of.N}, type, "b");
    const auto y = filled(on, {of.M, of.N}, type, "y");
    on.matmul(a->view(), b->view(), {y->view(), true});
    trial.expect(y->guards_intact(), "bytes around the result were written");
    answers[tested ? 0 : 1] = y->get();
  }
  trial.expect(answers[0] == answers[1], of.M, " x ", of.K, " times ", of.K, " x ", of.N,
               " of small integers is not exact");
}

// Ops in one order and another, without waiting in between: what is queued must not race.
void in_order(Trial& trial) {
  const auto backend = trial.make<Backend>();
  HostTensor x(*backend, DType::f32, {100, 100}, Layout::dense);
  HostTensor y(*backend, DType::f32, {100, 100}, Layout::dense);
  x.set(std::vector<double>(10000, 1.0));
  for (int i = 0; i < 50; ++i) {
    backend->binary(Binary::add, x.view(), x.view(), y.view());
    backend->copy(y.view(), x.view());
    backend->unary(Unary::sqrt, x.view(), y.view());
    backend->unary(Unary::square, y.view(), y.view());
    backend->fill(x.view(), 1.0);
  }
  backend->synchronise();
  for (const double value : y.get()) {
    if (!trial.expect(std::abs(value - 2) < 1e-5, "a chain of ops gave ", value,
                      " where 2 is right: ops do not wait for each other")) {
      return;
    }
  }
}
}  // namespace

Suite backend_suite() {
  return {.kind = "backend",
          .fitting = {},
          .exercise = exercise,
          .tests = {{"identity", 1, "it names its device and has f32 and i32", identity},
                    {"memory", 1, "memory is zero, aligned and its own", memory},
                    {"first_results", 2, "a case of each op against the reference", first_results},
                    {"in_order", 2, "ops see the results of those before them", in_order},
                    {"products", 3, "products of integers are exact", products,
                     [](int level) { return 20 << (level - 3); }},
                    {"gradients", 4, "gradient ops agree with central differences", gradients},
                    {"results", 5, "every case of every op, in every layout", results},
                    {"same_bits", 6, "the same bits at 1, 2, 4 and 8 threads", same_bits}}};
}

}  // namespace lathe::conform
