// What the kernels of attention share: the operands, and which keys a query sees.
#pragma once

#include <device/block.h>
#include <lathe/tensor/backend.h>

#include <cstdint>
#include <type_traits>

#include "element.h"
#include "matrices.h"
#include "tiles.h"

namespace lathe::cuda {

inline constexpr float log2_of_e = 1.44269504089f;
inline constexpr float log_of_2 = 0.69314718056f;

// [B, time, heads, D] in any strides, the D values together.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t row = 0, time = 0, head = 0;
  std::int64_t positions = 0;
  int width = 0;
  bool packed = false;  // every head of every position begins at and has a multiple of 16 bytes

  Heads() = default;
  explicit Heads(const View& view)
      : data(static_cast<T*>(view.data)),
        row(view.stride(0)),
        time(view.stride(1)),
        head(view.stride(2)),
        positions(view.shape[1]),
        width(static_cast<int>(view.shape[3])) {
    const auto whole = [](std::int64_t step) { return step % pack_of<T> == 0; };
    packed = is_aligned(data) && whole(row) && whole(time) && whole(head) && whole(width);
  }
  LATHE_DEVICE Rows<T> rows(std::int64_t b, std::int64_t h) const {
    return {data + b * row + h * head, time, positions, width, packed};
  }
};

// Where a warp's tile of scores lies.
struct TilePlace {
  std::int64_t b, h;
  std::int64_t before;      // keys before the row's first query
  std::int64_t t, s;        // query and key of the tile's first row and column
  bool transposed = false;  // rows are keys
};

// AttentionArguments for a kernel.
template <class T>
struct AttentionCall {
  Heads<const T> q, k, v;
  float* lse;  // [B, H, T], or none
  std::int64_t lse_row, lse_head, lse_time;
  const std::int32_t* offset;  // or none
  std::int64_t offset_row;
  const std::int32_t* q_segment;  // or none
  const std::int32_t* k_segment;
  std::int64_t q_segment_row, q_segment_time, k_segment_row, k_segment_time;
  std::int64_t queries, keys;  // T, S
  int heads, key_heads;        // H, G
  float scale;
  float dropout;
  bool causal;
  RandomStream random;

  explicit AttentionCall(const AttentionArguments& a)
      : q(a.q),
        k(a.k),
        v(a.v),
        lse(static_cast<float*>(a.lse.data)),
        lse_row(a.lse.strides[0]),
        lse_head(a.lse.strides[1]),
        lse_time(a.lse.strides[2]),
        offset(static_cast<const std::int32_t*>(a.offset.data)),
        offset_row(a.offset.strides[0]),
        q_segment(static_cast<const std::int32_t*>(a.q_segment.data)),
        k_segment(static_cast<const std::int32_t*>(a.k_segment.data)),
        q_segment_row(a.q_segment.strides[0]),
        q_segment_time(a.q_segment.strides[1]),
        k_segment_row(a.k_segment.strides[0]),
        k_segment_time(a.k_segment.strides[1]),
        queries(a.q.shape[1]),
        keys(a.k.shape[1]),
        heads(static_cast<int>(a.q.shape[2])),
        key_heads(static_cast<int>(a.k.shape[2])),
        scale(static_cast<float>(a.scale)),
        dropout(a.dropout),
        causal(a.causal),
        random(a.random) {}

  LATHE_DEVICE float& lse_at(std::int64_t b, std::int64_t h, std::int64_t t) const {
    return lse[b * lse_row + h * lse_head + t * lse_time];
  }
  LATHE_DEVICE std::int64_t keys_before(std::int64_t b) const {
    return offset == nullptr ? 0 : offset[b * offset_row];
  }
  LATHE_DEVICE bool sees(const TilePlace& at, std::int64_t t, std::int64_t s) const {
    if (t >= queries || s >= keys || (causal && s > at.before + t)) return false;
    if (q_segment == nullptr) return true;
    const std::int32_t own = q_segment[at.b * q_segment_row + t * q_segment_time];
    return own >= 0 && own == k_segment[at.b * k_segment_row + s * k_segment_time];
  }
  LATHE_DEVICE bool keeps(const TilePlace& at, std::int64_t t, std::int64_t s) const {
    const std::int64_t element = ((at.b * heads + at.h) * queries + t) * keys + s;
    const PhiloxBlock words = random.block(static_cast<std::uint64_t>(element) / 4);
    const std::uint32_t low = element & 1 ? words[1] : words[0];
    const std::uint32_t high = element & 1 ? words[3] : words[2];
    // As RandomStream::uniform has it.
    return static_cast<float>((element & 2 ? high : low) >> 8) * 0x1p-24f >= dropout;
  }

  // Of a lane's values in a tile of 16 rows and 8 * `fragments` columns: bit 4 j + i says whether
  // the query sees the key of c[j][i], and whether dropout keeps the weight. Loops that stay loops:
  // most tiles need no mask, and unrolled these would be most of the kernel.
  template <int fragments>
  LATHE_DEVICE std::uint32_t seen(const Block& block, const TilePlace& at) const {
    constexpr int across = 8 * fragments - 1;
    const int last_t = at.transposed ? across : 15, last_s = at.transposed ? 15 : across;
    if (q_segment == nullptr && at.t + last_t < queries &&
        sees_all(at.t, at.s + last_s, keys, at.before, causal)) {
      return ~std::uint32_t{0};
    }
    return bits<fragments>(block, at,
                           [&](std::int64_t t, std::int64_t s) { return sees(at, t, s); });
  }
  template <int fragments>
  LATHE_DEVICE std::uint32_t kept(const Block& block, const TilePlace& at) const {
    if (dropout <= 0) return ~std::uint32_t{0};
    return bits<fragments>(block, at,
                           [&](std::int64_t t, std::int64_t s) { return keeps(at, t, s); });
  }
  // What a weight is multiplied with that is kept.
  LATHE_DEVICE float raise() const { return dropout > 0 ? 1 / (1 - dropout) : 1; }

 private:
  template <int fragments, class Test>
  LATHE_DEVICE static std::uint32_t bits(const Block& block, const TilePlace& at,
                                         const Test& test) {
    static_assert(fragments <= 8);
    std::uint32_t found = 0;
    LATHE_LOOP
    for (int n = 0; n < 4 * fragments; ++n) {
      const FragmentPlace place = place_in_c(block.lane(), n % 4);
      const int column = 8 * (n / 4) + place.column;
      const std::int64_t t = at.t + (at.transposed ? column : place.row);
      const std::int64_t s = at.s + (at.transposed ? place.row : column);
      found |= static_cast<std::uint32_t>(test(t, s)) << n;
    }
    return found;
  }
};

// Calls body(std::integral_constant<int, width>{}) with the narrowest width of the kernels that D
// fits into; D is at most 128.
template <class Body>
void with_width(std::int64_t D, const Body& body) {
  if (D <= 32) return body(std::integral_constant<int, 32>{});
  if (D <= 64) return body(std::integral_constant<int, 64>{});
  return body(std::integral_constant<int, 128>{});
}

// The kernels take any strides but that of the D values, and D up to 128.
inline bool has_whole_heads(const View& view) {
  return !view || view.shape[3] == 1 || view.stride(3) == 1;
}
inline bool fits(const AttentionArguments& a) {
  return a.q.shape[3] <= 128 && has_whole_heads(a.q) && has_whole_heads(a.k) &&
         has_whole_heads(a.v) && has_whole_heads(a.y);
}

}  // namespace lathe::cuda
