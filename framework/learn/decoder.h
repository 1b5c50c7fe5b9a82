// Token-by-token passes of B sequences through a key-value cache: what generation and rollouts of
// language models share.
#pragma once

#include <lathe/learn/model.h>
#include <lathe/learn/sampling.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace lathe {

// How rows write by themselves; one rule for the life of a decoder.
struct WritingRule {
  Sampling how;
  std::int32_t end = -1;       // the token after which a row rests, or -1
  std::int64_t draw_step = 1;  // from the number of a row's draw to that of its next
};

// What a row is to do in a burst.
struct Turn {
  std::span<const std::int32_t> context;  // its tokens, of which only the newest is not yet fed
  std::int64_t left = 0;                  // tokens it may write; 0: it rests, and for good
  RandomStream random;
  std::uint64_t draw = 0;  // number of its next draw
};

// While a decoder lives, the parameters do not change (Backend::repeat).
class Decoder {
 public:
  Decoder(const Model& model, const Parameters& parameters, std::int64_t rows,
          std::int64_t capacity);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::int64_t capacity() const { return capacity_; }
  // Begins one row anew, with at most `capacity` tokens. Gives the logits after the last: [V].
  std::vector<float> begin(std::int64_t row, std::span<const std::int32_t> sequence);
  // Begins a row, or every row, anew with all tokens of its sequence but the last, which write()
  // feeds. Neighbours of equal length go through the model together.
  void fill(std::int64_t row, std::span<const std::int32_t> sequence);
  void fill(const std::vector<std::vector<std::int32_t>>& sequences);
  // All rows write, without the host, until none has anything left: up to burst() tokens each.
  // Gives them row by row. On a device the steps of a burst are recorded and repeated.
  std::vector<std::vector<Choice>> write(const WritingRule& rule, const std::vector<Turn>& turns);
  // Most tokens between two looks of the host: 1 where it computes itself and looks for nothing.
  std::int64_t burst() const;
  // Tokens that a row can take before its context is full.
  std::int64_t room(std::int64_t row) const { return capacity_ - length(row); }

  // Tokens in the cache of a row.
  std::int64_t length(std::int64_t row) const { return lengths_[static_cast<std::size_t>(row)]; }

 private:
  struct Loop;  // what write() keeps on the device

  // Feeds T tokens of each of the rows first ... first + count - 1. Gives the last hidden states.
  Tensor forward(const std::vector<std::int32_t>& tokens, std::int64_t first, std::int64_t count,
                 const std::vector<std::int32_t>& lengths);
  std::vector<const void*> memory() const;
  void step(const WritingRule& rule, std::int64_t rows);

  const Model& model_;
  const Parameters& parameters_;
  std::int64_t rows_;
  std::int64_t capacity_;
  KeyValueCache cache_;
  std::vector<std::int32_t> lengths_;  // [B]
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Loop> loop_;
  // Of a step of so many rows.
  std::map<std::int64_t, std::unique_ptr<Backend::Recording>> recordings_;
};

}  // namespace lathe
