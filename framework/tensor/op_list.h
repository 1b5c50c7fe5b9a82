// Every op of Backend, as an X-macro: the contract suite must have cases for each of them.
#pragma once

#define LATHE_OPS(X)      \
  X(copy)                 \
  X(fill)                 \
  X(unary)                \
  X(binary)               \
  X(where)                \
  X(reduce)               \
  X(matmul)               \
  X(softmax)              \
  X(softmax_gradient)     \
  X(gather)               \
  X(scatter_add)          \
  X(dropout)              \
  X(linear)               \
  X(linear_gradient)      \
  X(norm)                 \
  X(norm_gradient)        \
  X(attention)            \
  X(attention_gradient)   \
  X(embedding)            \
  X(embedding_gradient)   \
  X(head_loss)            \
  X(head_tokens)          \
  X(head_tokens_gradient) \
  X(rotary)               \
  X(swiglu)               \
  X(swiglu_gradient)      \
  X(kv_append)            \
  X(sample)               \
  X(adamw)                \
  X(sgd)                  \
  X(lion)                 \
  X(sum_of_squares)       \
  X(interpolate)
