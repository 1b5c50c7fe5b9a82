#include "speeds.h"

#include <lathe/learn/generation.h>
#include <lathe/tensor/scratch.h>

#include <algorithm>

#include "gpt2.h"

namespace lathe::bench {
namespace {
constexpr std::int64_t width = 768, heads = 12, vocabulary = 50257;
// Multiply-adds of a token of GPT-2 124M at T = 1024, times two (llm.c's count: 6 N + 6 L C T), and
// the dense bf16 rate of an H100 or H200.
constexpr double flops_of_a_token = 803e6;
constexpr double peak_flops = 989e12;

// Seconds of one call: the mean over as many as fit into the time, after two that nobody counts.
template <class Work>
double seconds_of(Backend& backend, double time, const Work& work) {
  for (int i = 0; i < 2; ++i) work();
  backend.synchronise();
  int count = 1;
  for (;;) {
    const double begin = seconds_now();
    for (int i = 0; i < count; ++i) work();
    backend.synchronise();
    const double taken = seconds_now() - begin;
    if (taken >= time) return taken / count;
    count *= 2;
  }
}

// Small numbers, so that no product overflows.
void fill_in(Backend& backend, const View& view) { backend.fill(view, 0.01); }

void measure_product(Backend& backend, std::int64_t N, std::int64_t inner, std::int64_t outer,
                     double time, const Take& take) {
  const Scratch x(backend, DType::bf16, {N, inner}), weight(backend, DType::bf16, {outer, inner});
  const Scratch y(backend, DType::bf16, {N, outer});
  const Scratch dweight(backend, DType::f32, {outer, inner});
  fill_in(backend, x);
  fill_in(backend, weight);
  const double flops =
      2.0 * static_cast<double>(N) * static_cast<double>(inner) * static_cast<double>(outer);
  const auto report = [&](const char* what, double seconds) {
    take({.group = "product",
          .name = cat(what, " ", N, " x ", inner, " -> ", outer),
          .value = flops / seconds * 1e-12,
          .unit = "TFLOP/s"});
  };
  report("forward", seconds_of(backend, time, [&] {
           backend.matmul(x, transposed(weight, 0, 1), {y, false});
         }));
  report("dweight", seconds_of(backend, time, [&] {
           backend.matmul(transposed(y.view(), 0, 1), x, {dweight, true});
         }));
}

void measure_attention(Backend& backend, const std::string& how, std::int64_t B, std::int64_t T,
                       double time, const Take& take) {
  constexpr std::int64_t D = width / heads;
  const Scratch qkv(backend, DType::bf16, {B, T, 3 * heads, D});
  const Scratch dqkv(backend, DType::bf16, {B, T, 3 * heads, D});
  const Scratch y(backend, DType::bf16, {B, T, heads, D}),
      dy(backend, DType::bf16, {B, T, heads, D});
  const Scratch lse(backend, DType::f32, {B, heads, T});
  fill_in(backend, qkv);
  fill_in(backend, dy);
  const auto part = [](const View& whole, std::int64_t which) {
    return sliced(whole, 2, which * heads, (which + 1) * heads);
  };
  AttentionArguments forward{.q = part(qkv, 0),
                             .k = part(qkv, 1),
                             .v = part(qkv, 2),
                             .y = y,
                             .lse = lse,
                             .scale = 0.125,
                             .causal = true,
                             .offset = View{},
                             .q_segment = View{},
                             .k_segment = View{},
                             .dropout = 0,
                             .random = {}};
  const AttentionGradients backward{.forward = forward,
                                    .dy = dy,
                                    .dq = {part(dqkv, 0), false},
                                    .dk = {part(dqkv, 1), false},
                                    .dv = {part(dqkv, 2), false}};
  // Two products forward and five backward, of half the square.
  const double half = 2.0 * static_cast<double>(B * heads * T) * static_cast<double>(T) *
                      static_cast<double>(D) / 2;
  const auto report = [&](const char* what, double products, double seconds) {
    take({.group = "attention",
          .name = cat(what, " ", B, " x ", T, ", causal", how),
          .value = products * half / seconds * 1e-12,
          .unit = "TFLOP/s"});
  };
  report("forward", 2, seconds_of(backend, time, [&] { backend.attention(forward); }));
  report("backward", 5, seconds_of(backend, time, [&] { backend.attention_gradient(backward); }));
}

void measure_adamw(Backend& backend, std::int64_t parameters, double time, const Take& take) {
  std::vector<std::unique_ptr<Scratch>> wide;
  for (int i = 0; i < 4; ++i) {
    wide.push_back(std::make_unique<Scratch>(backend, DType::f32, Shape{parameters}));
    fill_in(backend, *wide.back());
  }
  const Scratch shadow(backend, DType::bf16, {parameters});
  const double seconds = seconds_of(backend, time, [&] {
    backend.adamw({.parameter = *wide[0],
                   .gradient = *wide[1],
                   .first = *wide[2],
                   .second = *wide[3],
                   .shadow = shadow,
                   .gradient_scale = 1,
                   .rate = 1e-4,
                   .weight_decay = 0.1,
                   .beta1 = 0.9,
                   .beta2 = 0.95,
                   .epsilon = 1e-8,
                   .step = 1,
                   .nesterov = false});
  });
  // Four numbers read and three written in f32, one written in bf16.
  take({.group = "adamw",
        .name = cat(parameters, " parameters"),
        .value = 30.0 * static_cast<double>(parameters) / seconds * 1e-9,
        .unit = "GB/s"});
}

Gpt2Setup bf16_setup(const std::string& backend, const Sizes& sizes) {
  Gpt2Setup setup;
  setup.backend = backend;
  setup.small = sizes.quick;
  setup.precision = "bf16";
  return setup;
}
}  // namespace

void measure_ops(Backend& backend, const std::string& name, const Sizes& sizes, const Take& take) {
  const std::int64_t N = sizes.batch * sizes.length;
  for (const std::int64_t outer : {3 * width, width, 4 * width}) {
    measure_product(backend, N, width, outer, sizes.seconds, take);
  }
  measure_product(backend, N, 4 * width, width, sizes.seconds, take);
  measure_product(backend, std::min<std::int64_t>(N, 8192), width, vocabulary, sizes.seconds, take);
  if (name == "cuda") {
    for (const char* how : {"own", "cudnn"}) {
      try {
        const auto other =
            registry().create<Backend>("cuda", Config::table({{"attention", Config::text(how)}}));
        measure_attention(*other, cat(", ", how), sizes.batch, sizes.length, sizes.seconds, take);
      } catch (const Error& error) {
        take({.group = "attention", .name = how, .note = error.what()});
      }
    }
  } else {
    measure_attention(backend, "", sizes.batch, sizes.length, sizes.seconds, take);
  }
  measure_adamw(backend, sizes.quick ? 100000 : 124439808, sizes.seconds, take);
}

void measure_training(const std::string& backend, const Sizes& sizes, const Take& take) {
  Gpt2Setup setup = bf16_setup(backend, sizes);
  setup.batch = sizes.batch;
  setup.length = sizes.length;
  Gpt2 model(setup);
  // Plans are made and the arena is laid out in the first steps.
  for (int i = 0; i < 3; ++i) model.trainer.step();
  // A step reads its loss, and so waits, but not for its update.
  model.session.backend->synchronise();
  const double begin = seconds_now();
  for (int i = 0; i < sizes.steps; ++i) model.trainer.step();
  model.session.backend->synchronise();
  const double seconds = (seconds_now() - begin) / sizes.steps;
  const double rate = static_cast<double>(sizes.batch * sizes.length) / seconds;
  take({.group = "train",
        .name = cat(sizes.quick ? "a small GPT, " : "GPT-2 124M, ", sizes.batch, " x ",
                    sizes.length, ", bf16"),
        .value = rate,
        .unit = "tokens/s",
        .floor = 420e3,
        .target = 520e3,
        .note = cat("MFU of 989 TFLOP/s: ", 100 * rate * flops_of_a_token / peak_flops,
                    " %; arena ", model.trainer.arena().planned_bytes() >> 20, " MiB")});
}

void measure_writing(const std::string& backend, const Sizes& sizes, const Take& take) {
  const Gpt2 model(bf16_setup(backend, sizes));
  const Generator generator(*model.session.model, model.session.parameters,
                            *model.session.tokenizer);
  const auto seconds = [&](std::int64_t rows, std::int64_t tokens, double temperature) {
    const std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(rows), {11});
    const GenerationOptions options(Config::table(
        {{"tokens", Config::integer(tokens)}, {"temperature", Config::number(temperature)}}));
    const double begin = seconds_now();
    generator.complete(prompts, options, 1);
    return seconds_now() - begin;
  };
  struct Goal {
    const char* name;
    std::int64_t rows, tokens;
    double temperature, floor, target;
  };
  for (const Goal& goal : {Goal{"decode", 1, sizes.alone, 0, 2500, 4000},
                           Goal{"decode", sizes.some_rows, sizes.some, 0, 50e3, 100e3},
                           Goal{"rollout", sizes.many_rows, sizes.many, 1, 120e3, 200e3}}) {
    seconds(goal.rows, 2, goal.temperature);
    const double first = seconds(goal.rows, 1, goal.temperature);
    const double all = seconds(goal.rows, 1 + goal.tokens, goal.temperature);
    const std::string name = cat(goal.name, ", batch ", goal.rows, ", bf16");
    if (all <= first) {  // of a few tokens alone
      take({.group = "write", .name = name, .note = "too short to be timed"});
      continue;
    }
    take({.group = "write",
          .name = name,
          .value = static_cast<double>(goal.rows * goal.tokens) / (all - first),
          .unit = "tokens/s",
          .floor = goal.floor,
          .target = goal.target});
  }
}

}  // namespace lathe::bench
