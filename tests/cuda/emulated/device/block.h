// class Block of the emulator: what plugins/backends/cuda/device/block.h is on a GPU. Each thread
// of a block is a fiber; barriers and warp operations switch between them.
#pragma once

#include <device/qualifiers.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <lathe/tensor/dtype.h>

namespace lathe::cuda {

inline constexpr int warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

namespace emulated {
class Team;  // the threads of a block: emulator.cpp

struct WarpWord {
  alignas(8) std::byte bytes[64];
};
void barrier(Team& team, int thread);
void warp_barrier(Team& team, int thread);
// Lays down a word of this lane and waits for all lanes; then the words of the warp can be read
// until this lane's next exchange.
const WarpWord* exchange(Team& team, int thread, const WarpWord& mine);
void* shared_memory(Team& team);
}  // namespace emulated

class Block {
 public:
  struct Place {
    int thread, threads;
    std::int64_t x, y, z, blocks_x, blocks_y;
  };
  Block(emulated::Team& team, const Place& place) : team_(&team), place_(place) {}

  int thread() const { return place_.thread; }
  int threads() const { return place_.threads; }
  int lane() const { return thread() % warp_size; }
  int warp() const { return thread() / warp_size; }
  int x() const { return static_cast<int>(place_.x); }
  int y() const { return static_cast<int>(place_.y); }
  int z() const { return static_cast<int>(place_.z); }
  int blocks_x() const { return static_cast<int>(place_.blocks_x); }
  int blocks_y() const { return static_cast<int>(place_.blocks_y); }

  void barrier() const { emulated::barrier(*team_, thread()); }
  void warp_barrier() const { emulated::warp_barrier(*team_, thread()); }

  template <class T>
  T shuffle(T value, int from) const {
    static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
    return word_of<T>(exchanged(value)[from & (warp_size - 1)]);
  }
  template <class T>
  T shuffle_xor(T value, int mask) const {
    return shuffle(value, lane() ^ mask);
  }
  unsigned ballot(bool bit) const {
    const emulated::WarpWord* words = exchanged(static_cast<unsigned>(bit));
    unsigned bits = 0;
    for (unsigned other = 0; other < warp_size; ++other) {
      bits |= word_of<unsigned>(words[other]) << other;
    }
    return bits;
  }

  template <class T>
  T* shared() const {
    return static_cast<T*>(emulated::shared_memory(*team_));
  }

  // Fibers of one host thread never run at the same time.
  int atomic_add(int* at, int value) const {
    const int before = *at;
    *at += value;
    return before;
  }
  int atomic_compare_and_swap(int* at, int expected, int value) const {
    const int before = *at;
    if (before == expected) *at = value;
    return before;
  }

  // The fragments of the GPU's m16n8k16: a lane gathers from others its two rows of A and its two
  // columns of B.
  void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) const {
    struct Fragments {
      std::uint32_t a[4], b[2];
    };
    Fragments mine;
    std::memcpy(mine.a, a, sizeof mine.a);
    std::memcpy(mine.b, b, sizeof mine.b);
    const emulated::WarpWord* words = exchanged(mine);
    float rows[2][16], columns[2][16];
    for (int pair = 0; pair < 4; ++pair) {
      const auto left = word_of<Fragments>(words[lane() / 4 * 4 + pair]);
      for (int part = 0; part < 4; ++part) {
        float* to = rows[part % 2] + 2 * pair + part / 2 * 8;
        to[0] = half(left.a[part], 0);
        to[1] = half(left.a[part], 1);
      }
      for (int which = 0; which < 2; ++which) {
        const auto right = word_of<Fragments>(words[(lane() % 4 * 2 + which) * 4 + pair]);
        for (int part = 0; part < 2; ++part) {
          float* to = columns[which] + 2 * pair + part * 8;
          to[0] = half(right.b[part], 0);
          to[1] = half(right.b[part], 1);
        }
      }
    }
    for (int part = 0; part < 4; ++part) {
      for (int k = 0; k < 16; ++k) d[part] += rows[part / 2][k] * columns[part % 2][k];
    }
  }

 private:
  template <class T>
  const emulated::WarpWord* exchanged(const T& value) const {
    static_assert(sizeof(T) <= sizeof(emulated::WarpWord));
    emulated::WarpWord mine{};
    std::memcpy(mine.bytes, &value, sizeof value);
    return emulated::exchange(*team_, thread(), mine);
  }
  template <class T>
  static T word_of(const emulated::WarpWord& word) {
    T value;
    std::memcpy(&value, word.bytes, sizeof value);
    return value;
  }
  static float half(std::uint32_t word, int which) {
    return std::bit_cast<float>(which == 0 ? word << 16 : word & 0xffff0000u);
  }

  emulated::Team* team_;
  Place place_;
};

inline std::uint16_t nearest_bf16_bits(float value) { return bf16(value).bits; }
inline float float_of_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline std::uint32_t bits_of_float(float value) { return std::bit_cast<std::uint32_t>(value); }

}  // namespace lathe::cuda
