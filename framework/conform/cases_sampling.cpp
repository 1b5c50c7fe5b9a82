// Cases of sample: every rule, rows that rest, that end, and whose counters cross a word.
#include <lathe/base/random.h>
#include <lathe/conform/op_cases.h>
#include <lathe/tensor/scratch.h>

#include <array>

namespace lathe::conform {
namespace {
// The log-probabilities are f64 on every backend; here they go to outputs of the wide type.
void sample_into(Backend& backend, SampleArguments arguments, const View& log_probability,
                 const View& sampled) {
  const Shape& shape = arguments.written.shape;
  const Scratch model(backend, DType::f64, shape), drawn(backend, DType::f64, shape);
  arguments.log_probability = model;
  arguments.sampled_log_probability = drawn;
  backend.sample(arguments);
  std::vector<double> values(static_cast<std::size_t>(shape.count()));
  const auto hand_over = [&](const View& from, const View& to) {
    backend.download(values.data(), from.data, values.size() * sizeof(double));
    const Scratch dense(backend, to.dtype, shape);
    const std::vector<float> narrow(values.begin(), values.end());
    if (to.dtype == DType::f64) {
      backend.upload(dense.view().data, values.data(), values.size() * sizeof(double));
    } else {
      backend.upload(dense.view().data, narrow.data(), narrow.size() * sizeof(float));
    }
    backend.copy(dense, to);
  };
  hand_over(model, log_probability);
  hand_over(drawn, sampled);
}

Case sample_case(std::string name, std::int64_t V, const Sampling& how, bool whole = false) {
  constexpr std::int64_t B = 6, P = 3, S = 5;
  Case test{.name = std::move(name)};
  Operand& logits = test.input("logits", {B, V}, -4, 4);
  logits.whole = whole;  // then there are ties
  const auto table = [&](const char* operand, Role role, std::int64_t columns,
                         std::vector<double> values) {
    Operand& made =
        test.add(operand, Kind::index, role, columns == 0 ? Shape{B} : Shape{B, columns});
    made.values = std::move(values);
  };
  std::vector<double> words, history;
  const RandomStream random(3, "sample");
  for (std::uint64_t i = 0; i < B * 4; ++i) {
    words.push_back(static_cast<double>(static_cast<std::int32_t>(random.word(i))));
  }
  for (std::uint64_t i = 0; i < B * S; ++i) {
    history.push_back(static_cast<double>(random.below(static_cast<std::uint64_t>(V), 100 + i)));
  }
  table("random", Role::input, 4, words);
  table("history", Role::updated, S, history);
  // The third draw leaves its lower word.
  table("draw", Role::updated, 2, {0, 0, 7, 0, -1, 4, 5, 0, 12, 1, 3, 0});
  table("left", Role::updated, 0, {2, 1, 3, 0, 2, -1});
  table("position", Role::updated, 0, {0, 3, 2, 1, 3, 0});
  table("token", Role::updated, 0, {0, 0, 0, 0, 0, 0});
  table("count", Role::updated, 0, {0, 2, 0, 1, 1, 0});
  table("written", Role::updated, P, std::vector<double>(B * P, -5));
  test.wide_output("log_probability", {B, P});
  test.wide_output("sampled", {B, P});
  test.zero_allowed = true;
  test.layouts = {Layout::dense, Layout::sliced};
  test.call = [how](Backend& b, const Operands& o) {
    sample_into(b,
                {.logits = o["logits"],
                 .how = how,
                 .end = 1,
                 .draw_step = 3,
                 .history = o["history"],
                 .random = o["random"],
                 .draw = o["draw"],
                 .left = o["left"],
                 .position = o["position"],
                 .token = o["token"],
                 .count = o["count"],
                 .written = o["written"],
                 .log_probability = {},
                 .sampled_log_probability = {}},
                o["log_probability"], o["sampled"]);
  };
  return test;
}
}  // namespace

template <>
std::vector<Case> cases<Op::sample>() {
  const auto how = [](auto change) {
    Sampling made;
    change(made);
    return made;
  };
  const Sampling plain = how([](Sampling& of) { of.temperature = 0.7; });
  const Sampling penalty = how([](Sampling& of) { of.repetition_penalty = 1.5; });
  const Sampling greedy = how([](Sampling& of) { of.temperature = 0; });
  const Sampling avoiding = how([](Sampling& of) {
    of.temperature = 0;
    of.repetition_penalty = 3;
  });
  const Sampling ties = how([](Sampling& of) {
    of.temperature = 0;
    of.draws_ties = true;
  });
  const Sampling exploring = how([](Sampling& of) {
    of.temperature = 0;
    of.draws_ties = true;
    of.epsilon = 0.5;
  });
  const Sampling few = how([](Sampling& of) { of.top_k = 3; });
  const Sampling nucleus = how([](Sampling& of) { of.top_p = 0.8; });
  const Sampling cut = how([](Sampling& of) {
    of.temperature = 1.3;
    of.top_k = 40;
    of.top_p = 0.9;
    of.min_p = 0.05;
    of.repetition_penalty = 1.2;
  });
  return {sample_case("one token", 1, plain),
          sample_case("plain", 300, plain),
          sample_case("plain, wide", 9001, plain),
          sample_case("plain, penalty", 300, penalty),
          sample_case("greedy", 300, greedy),
          sample_case("greedy, equals", 300, greedy, true),
          sample_case("greedy, penalty", 12, avoiding, true),
          sample_case("equals drawn", 300, ties, true),
          sample_case("epsilon", 300, exploring, true),
          sample_case("top-k", 300, few),
          sample_case("top-k, equals", 300, few, true),
          sample_case("top-p", 300, nucleus),
          sample_case("top-p, equals", 300, nucleus, true),
          sample_case("all cuts", 700, cut)};
}

}  // namespace lathe::conform
