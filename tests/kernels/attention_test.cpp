// The attention kernels against plain loops in double precision.
#include <lathe/base/error.h>

#include <utility>

#include "attention_example.h"

namespace lathe::kernels {
namespace {

using namespace example;

double norm_of(const Doubles& x) {
  double sum = 0.0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

void expect_near(const Doubles& x, const Doubles& y, double bound, const char* what) {
  ASSERT_EQ(x.size(), y.size()) << what;
  Doubles difference = x;
  for (std::size_t i = 0; i < x.size(); ++i) difference[i] -= y[i];
  EXPECT_LE(norm_of(difference), bound) << what;
}

// Bounds in the Euclidean norm. f32: 1e-5 of the result; dq and dk also a few roundings (2^-22) of
// their terms, of which a difference is left that may be zero. bf16: a result is rounded once
// (2^-9), and dq and dk start from the rounded out, an error of 2^-9 in their terms; twice that.
double bound_of(const Shape& s, const Doubles& result) {
  return (s.bf ? 0x1p-8 : 1e-5) * norm_of(result);
}
double bound_of(const Shape& s, const Doubles& result, const Doubles& terms) {
  return bound_of(s, result) + (s.bf ? 0x1p-8 : 0x1p-22) * norm_of(terms);
}

void compare(const Shape& s, Index gap = 0, Index lead = 0) {
  SCOPED_TRACE(testing::Message() << "B" << s.batch << " T" << s.queries << " S" << s.keys << " H"
                                  << s.heads << " G" << s.key_heads << " D" << s.width << " causal "
                                  << s.causal << " bf16 " << s.bf);
  Example run(s, gap, lead);
  attention(run.arguments());
  attention_backward(run.backward_arguments());
  Plain plain = run.plain();
  plain.forward();
  plain.backward(run.dout.values());
  expect_near(run.out.values(), plain.out, bound_of(s, plain.out), "out");
  for (std::size_t i = 0; i < plain.lse.size(); ++i) {
    if (plain.lse[i] == -infinity) {
      EXPECT_EQ(run.lse[i], -std::numeric_limits<float>::infinity());
    } else {
      EXPECT_NEAR(static_cast<double>(run.lse[i]), plain.lse[i],
                  2e-6 * (1.0 + std::abs(plain.lse[i])));
    }
  }
  EXPECT_EQ(run.lse.back(), sentinel);
  expect_near(run.dq.values(), plain.dq, bound_of(s, plain.dq, plain.dq_terms), "dq");
  expect_near(run.dk.values(), plain.dk, bound_of(s, plain.dk, plain.dk_terms), "dk");
  expect_near(run.dv.values(), plain.dv, bound_of(s, plain.dv), "dv");
  for (const Buffer* b : {&run.out, &run.dq, &run.dk, &run.dv}) {
    EXPECT_TRUE(b->untouched_between());
  }
}

TEST(Attention, PlainsOwnGradientMatchesCentralDifferences) {
  const Shape s{1, 5, 6, 2, 1, 3, true, 0.3f, {1}, {}, {}, false};
  Example run(s);
  Plain plain = run.plain();
  const Doubles dout = run.dout.values();
  plain.backward(dout);
  const auto loss = [&] {
    plain.forward();
    double sum = 0.0;
    for (std::size_t i = 0; i < dout.size(); ++i) sum += dout[i] * plain.out[i];
    return sum;
  };
  const std::pair<Doubles*, const Doubles*> pairs[] = {
      {&plain.q, &plain.dq}, {&plain.k, &plain.dk}, {&plain.v, &plain.dv}};
  for (const auto& [x, gradient] : pairs) {
    for (std::size_t i = 0; i < x->size(); ++i) {
      const double value = (*x)[i];
      (*x)[i] = value + 1e-5;
      const double above = loss();
      (*x)[i] = value - 1e-5;
      const double below = loss();
      (*x)[i] = value;
      EXPECT_NEAR((above - below) / 2e-5, (*gradient)[i], 1e-8);
    }
  }
}

TEST(Attention, EqualsPlainForAllWidths) {
  for (const Index width : {1, 8, 13, 16, 31, 48, 64, 65, 80, 128, 130}) {
    for (const bool bf : {false, true}) {
      compare({2, 37, 37, 2, 1, width, true, 0.0f, {}, {}, {}, bf});
    }
  }
}

TEST(Attention, EqualsPlainForAllLengths) {
  for (const Index queries : {1, 2, 7, 63, 64, 97, 200}) {
    for (const Index keys : {1, 3, 64, 65, 130}) {
      for (const bool causal : {false, true}) {
        compare({1, queries, keys, 2, 2, 24, causal, 0.0f, {}, {}, {}, keys % 2 == 1});
      }
    }
  }
}

TEST(Attention, EqualsPlainWithSharedKeyHeads) {
  for (const Index key_heads : {1, 2, 3, 6}) {
    compare({2, 70, 70, 6, key_heads, 20, true, 0.0f, {}, {}, {}, false});
    compare({1, 3, 150, 6, key_heads, 64, true, 0.0f, {140}, {}, {}, true});
    compare({3, 2, 150, 6, key_heads, 32, true, 0.0f, {0, 148, 77}, {}, {}, false});
  }
}

TEST(Attention, EqualsPlainWithSegmentsPaddingAndOffsets) {
  for (const bool bf : {false, true}) {
    for (const bool causal : {false, true}) {
      const Ids ids = some_segments(3, 190, 11);
      compare({3, 190, 190, 2, 1, 32, causal, 0.0f, {}, ids, ids, bf});
      // Segments that come back, so that what a row sees has holes.
      Ids mixed = ids;
      for (std::size_t i = 0; i < mixed.size(); ++i) {
        if (mixed[i] >= 0) mixed[i] = static_cast<std::int32_t>(i * i / 7 % 3);
      }
      compare({3, 190, 190, 1, 1, 16, causal, 0.0f, {}, mixed, mixed, bf});
    }
    compare({3, 20, 100, 2, 2, 40, true, 0.0f, {0, 33, 80}, {}, {}, bf});
  }
}

TEST(Attention, EqualsPlainWithDropout) {
  for (const bool bf : {false, true}) {
    compare({2, 67, 67, 2, 2, 32, true, 0.25f, {}, {}, {}, bf});
    compare({1, 9, 131, 4, 2, 20, false, 0.5f, {}, {}, {}, bf});
    const Ids ids = some_segments(1, 101, 5);
    compare({1, 101, 101, 2, 1, 16, true, 0.1f, {}, ids, ids, bf});
  }
}

TEST(Attention, TouchesNothingBetweenTheHeadsOfStridedOperands) {
  for (const bool bf : {false, true}) {
    compare({2, 35, 35, 3, 3, 20, true, 0.0f, {}, {}, {}, bf}, 17, 5);
    compare({2, 35, 35, 4, 2, 16, false, 0.0f, {}, {}, {}, bf}, 64, 3);
  }
}

TEST(Attention, TakesSlicesOfPackedProjections) {
  const Shape s{2, 45, 45, 2, 2, 20, true, 0.0f, {}, {}, {}, false};
  Example run(s);
  const Index width = 2 * 20;  // C
  std::vector<float> packed(flat(2 * 45 * 3 * width)), gradient(packed.size(), sentinel);
  const Buffer* parts[] = {&run.q, &run.k, &run.v};
  for (Index b = 0; b < 2; ++b)
    for (Index t = 0; t < 45; ++t)
      for (Index part = 0; part < 3; ++part)
        for (Index c = 0; c < width; ++c) {
          packed[flat(((b * 45 + t) * 3 + part) * width + c)] =
              static_cast<float>(parts[part]->get(b, t, c / 20, c % 20));
        }
  const auto slice = [&](std::vector<float>& all, Index part) {
    return AttentionOperand{all.data() + part * width, 45 * 3 * width, 3 * width, 20};
  };
  attention(run.arguments());
  attention_backward(run.backward_arguments());
  Buffer out(s, 45, 2);
  AttentionBackward a = run.backward_arguments();
  a.forward.q = slice(packed, 0);
  a.forward.k = slice(packed, 1);
  a.forward.v = slice(packed, 2);
  a.forward.out = out.operand;
  a.q_gradient = slice(gradient, 0);
  a.k_gradient = slice(gradient, 1);
  a.v_gradient = slice(gradient, 2);
  attention(a.forward);
  attention_backward(a);
  EXPECT_TRUE(out.same_bits(run.out));
  const Buffer* gradients[] = {&run.dq, &run.dk, &run.dv};
  for (Index b = 0; b < 2; ++b)
    for (Index t = 0; t < 45; ++t)
      for (Index part = 0; part < 3; ++part)
        for (Index c = 0; c < width; ++c) {
          EXPECT_EQ(static_cast<double>(gradient[flat(((b * 45 + t) * 3 + part) * width + c)]),
                    gradients[part]->get(b, t, c / 20, c % 20));
        }
}

TEST(Attention, AddsToGradientsWhenAsked) {
  const Shape s{1, 40, 40, 2, 1, 20, true, 0.0f, {}, {}, {}, false};
  Example once(s), twice(s);
  attention(once.arguments());
  attention_backward(once.backward_arguments());
  attention(twice.arguments());
  AttentionBackward a = twice.backward_arguments();
  attention_backward(a);
  a.add_q = a.add_k = a.add_v = true;
  attention_backward(a);
  const std::pair<const Buffer*, const Buffer*> pairs[] = {
      {&once.dq, &twice.dq}, {&once.dk, &twice.dk}, {&once.dv, &twice.dv}};
  for (const auto& [x, y] : pairs) {
    const Doubles single = x->values(), doubled = y->values();
    for (std::size_t i = 0; i < single.size(); ++i) EXPECT_EQ(2 * single[i], doubled[i]);
  }
}

TEST(Attention, EmptyShapesWriteZerosOrNothing) {
  compare({0, 5, 5, 2, 1, 16, true, 0.0f, {}, {}, {}, false});
  compare({2, 0, 5, 2, 1, 16, true, 0.0f, {}, {}, {}, false});
  compare({2, 5, 0, 2, 1, 16, true, 0.0f, {}, {}, {}, false});
}

TEST(Attention, QueryThatSeesNothingGivesZero) {
  const Ids query(70, 5), key(70, 6);
  const Shape s{1, 70, 70, 1, 1, 16, false, 0.0f, {}, query, key, false};
  Example run(s);
  attention(run.arguments());
  attention_backward(run.backward_arguments());
  for (const Buffer* b : {&run.out, &run.dq, &run.dk, &run.dv}) {
    for (const double x : b->values()) EXPECT_EQ(x, 0.0);
  }
  for (std::size_t t = 0; t < 70; ++t)
    EXPECT_EQ(run.lse[t], -std::numeric_limits<float>::infinity());
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const Shape s{1, 70, 70, 1, 1, 16, true, 0.0f, {}, {}, {}, false};
  Example run(s);
  run.q.each([&](Index b, Index t, Index h, Index d) {
    run.q.set(b, t, h, d, 1000.0f * static_cast<float>(run.q.get(b, t, h, d)));
  });
  attention(run.arguments());
  Plain plain = run.plain();
  plain.forward();
  expect_near(run.out.values(), plain.out, 1e-3 * norm_of(plain.out),
              "out");  // scores near 5000 carry 2^-12 each
}

TEST(Attention, RefusesWhatItCannotCompute) {
  const Shape s{1, 4, 4, 3, 2, 16, true, 0.0f, {}, {}, {}, false};
  Example run(s);
  EXPECT_THROW(attention(run.arguments()), Error);  // 3 heads, 2 key heads
  run.s.heads = 2;
  Attention a = run.arguments();
  a.type = DType::f64;
  EXPECT_THROW(attention(a), Error);
  a = run.arguments();
  a.dropout = 1.0f;
  EXPECT_THROW(attention(a), Error);
  a = run.arguments();
  a.k.data = nullptr;
  EXPECT_THROW(attention(a), Error);
  a = run.arguments();
  const Ids ids(4, 0);
  a.key_segment = ids.data();
  EXPECT_THROW(attention(a), Error);
  AttentionBackward backward = run.backward_arguments();
  backward.forward.lse = nullptr;
  EXPECT_THROW(attention_backward(backward), Error);
}

}  // namespace
}  // namespace lathe::kernels
