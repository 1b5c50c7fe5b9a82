// Rows of a table by token (and of another by position), and the gradient of both tables.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

// out[n, :] = scale token_table[token[n], :] + position_table[position[n], :]. A token below
// 0 gives a row of zeros; a position below 0 adds nothing.
struct EmbeddingForward {
  DType table_dtype = DType::f32;
  DType dtype = DType::f32;  // of out
  std::size_t rows = 0;      // N
  std::size_t width = 0;
  std::size_t vocabulary = 0;  // rows of token_table
  std::size_t positions = 0;   // rows of position_table
  float scale = 1;
  const std::int32_t* token = nullptr;     // [N]
  const std::int32_t* position = nullptr;  // [N], with position_table
  const void* token_table = nullptr;
  const void* position_table = nullptr;  // optional
  void* out = nullptr;                   // [N, width]
};

// dtoken_table[token[n], :] += scale dout[n, :], dposition_table[position[n], :] += dout[n, :], for
// n in order: the bits depend neither on threads nor on which rows share a token. A token below 0
// gives neither table anything.
struct EmbeddingBackward {
  DType dtype = DType::f32;  // of dout
  std::size_t rows = 0;
  std::size_t width = 0;
  std::size_t vocabulary = 0;
  std::size_t positions = 0;
  float scale = 1;
  const std::int32_t* token = nullptr;
  const std::int32_t* position = nullptr;
  const void* dout = nullptr;
  float* dtoken_table = nullptr;     // optional (frozen)
  float* dposition_table = nullptr;  // optional
};

// Both throw Error when an index is not below the rows of its table.
void embedding_forward(const EmbeddingForward& arguments);
void embedding_backward(const EmbeddingBackward& arguments);

}  // namespace lathe::kernels
