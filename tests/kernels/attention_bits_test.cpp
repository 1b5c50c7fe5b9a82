// What the attention kernels promise about bits: threads, cached decoding, packing, masked values.
#include <omp.h>

#include <utility>

#include "attention_example.h"

namespace lathe::kernels {
namespace {

using namespace example;

struct Threads {
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  int before_;
};

TEST(AttentionBits, SameBitsAtAnyNumberOfThreads) {
  const Ids ids = some_segments(1, 230, 9);
  const Shape shapes[] = {{1, 230, 230, 3, 1, 24, true, 0.1f, {}, ids, ids, false},
                          {1, 150, 150, 4, 4, 64, true, 0.0f, {}, {}, {}, true},
                          {2, 90, 140, 4, 2, 16, false, 0.0f, {}, {}, {}, false},
                          {3, 1, 300, 6, 2, 32, true, 0.0f, {299, 5, 128}, {}, {}, false}};
  for (const Shape& s : shapes) {
    Example one(s);
    {
      const Threads threads(1);
      attention(one.arguments());
      attention_backward(one.backward_arguments());
    }
    for (const int count : {2, 3, 4, 8}) {
      const Threads threads(count);
      Example many(s);
      attention(many.arguments());
      attention_backward(many.backward_arguments());
      EXPECT_TRUE(many.out.same_bits(one.out)) << count;
      EXPECT_TRUE(many.dq.same_bits(one.dq)) << count;
      EXPECT_TRUE(many.dk.same_bits(one.dk)) << count;
      EXPECT_TRUE(many.dv.same_bits(one.dv)) << count;
      EXPECT_EQ(std::memcmp(many.lse.data(), one.lse.data(), 4 * one.lse.size()), 0) << count;
    }
  }
}

// Every row of the full forward again with one query against a cache of larger capacity whose
// unwritten part holds NaN, alone in a batch.
TEST(AttentionBits, CachedDecodeEqualsFullForwardToTheBit) {
  constexpr std::pair<bool, Index> cases[] = {{false, 40}, {false, 64}, {true, 40}};
  for (const auto& [bf, width] : cases) {
    const Index length = 210, capacity = 260;
    const Shape s{2, length, length, 4, 2, width, true, 0.0f, {}, {}, {}, bf};
    Example full(s);
    attention(full.arguments());
    Shape one = s;
    one.batch = one.queries = 1;
    one.keys = capacity;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (Index b = 0; b < 2; ++b) {
      Example cached(one);
      const auto forget = [&](Buffer& x) {
        x.each([&](Index, Index t, Index h, Index d) { x.set(0, t, h, d, nan); });
      };
      forget(cached.k);
      forget(cached.v);
      for (Index t = 0; t < length; ++t) {
        for (Index d = 0; d < s.width; ++d) {
          for (Index h = 0; h < s.heads; ++h) {
            cached.q.set(0, 0, h, d, static_cast<float>(full.q.get(b, t, h, d)));
          }
          for (Index g = 0; g < s.key_heads; ++g) {
            cached.k.set(0, t, g, d, static_cast<float>(full.k.get(b, t, g, d)));
            cached.v.set(0, t, g, d, static_cast<float>(full.v.get(b, t, g, d)));
          }
        }
        cached.s.offset = {static_cast<std::int32_t>(t)};
        attention(cached.arguments());
        for (Index h = 0; h < s.heads; ++h) {
          for (Index d = 0; d < s.width; ++d) {
            ASSERT_EQ(cached.out.get(0, 0, h, d), full.out.get(b, t, h, d)) << t;
          }
          ASSERT_EQ(cached.lse[flat(h)], full.lse[flat((b * s.heads + h) * length + t)]) << t;
        }
      }
    }
  }
}

// The first 128 positions are another segment, so the second starts at a multiple of 64.
TEST(AttentionBits, AlignedSegmentEqualsTheSameTextAloneToTheBit) {
  Ids ids(228, 0);
  for (std::size_t i = 128; i < 228; ++i) ids[i] = 1;
  Example packed({1, 228, 228, 2, 2, 24, true, 0.0f, {}, ids, ids, false});
  Example alone({1, 100, 100, 2, 2, 24, true, 0.0f, {}, {}, {}, false});
  const std::pair<Buffer*, const Buffer*> pairs[] = {
      {&alone.q, &packed.q}, {&alone.k, &packed.k}, {&alone.v, &packed.v}};
  for (const auto& [to, from] : pairs) {
    to->each([&, to = to, from = from](Index b, Index t, Index h, Index d) {
      to->set(b, t, h, d, static_cast<float>(from->get(b, t + 128, h, d)));
    });
  }
  attention(packed.arguments());
  attention(alone.arguments());
  alone.out.each([&](Index b, Index t, Index h, Index d) {
    EXPECT_EQ(alone.out.get(b, t, h, d), packed.out.get(b, t + 128, h, d));
  });
}

TEST(AttentionBits, MaskedValuesMayBeAnything) {
  const Ids ids = some_segments(1, 150, 20);
  const Shape s{1, 150, 150, 2, 1, 20, true, 0.0f, {}, ids, ids, false};
  Example clean(s), dirty(s);
  attention(clean.arguments());
  attention_backward(clean.backward_arguments());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Index t = 130; t < 150; ++t) {
    for (Index d = 0; d < s.width; ++d) {
      dirty.k.set(0, t, 0, d, nan);
      dirty.v.set(0, t, 0, d, nan);
      dirty.q.set(0, t, 1, d, nan);
      dirty.dout.set(0, t, 1, d, nan);
    }
  }
  attention(dirty.arguments());
  attention_backward(dirty.backward_arguments());
  EXPECT_TRUE(dirty.out.same_bits(clean.out));
  EXPECT_TRUE(dirty.dq.same_bits(clean.dq));
  EXPECT_TRUE(dirty.dk.same_bits(clean.dk));
  EXPECT_TRUE(dirty.dv.same_bits(clean.dv));
  // The forward of a row also survives what later keys of its own segment hold.
  dirty.v.set(0, 129, 0, 3, nan);
  attention(dirty.arguments());
  for (Index t = 0; t < 129; ++t) EXPECT_EQ(dirty.out.get(0, t, 1, 3), clean.out.get(0, t, 1, 3));
  EXPECT_TRUE(std::isnan(dirty.out.get(0, 129, 1, 3)));
}

}  // namespace
}  // namespace lathe::kernels
