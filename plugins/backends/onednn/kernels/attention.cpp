#include "attention.h"

#include <lathe/base/error.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#include "attention_scratch.h"
#include "dispatch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(attention_forward_kernel, Attention)
LATHE_DECLARE_KERNEL(attention_backward_kernel, AttentionBackward)

float* attention_scratch(std::size_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local std::size_t capacity = 0;
  if (floats > capacity) {
    constexpr std::size_t page = 4096 / sizeof(float);
    if (floats > std::numeric_limits<std::size_t>::max() / sizeof(float) - page) {
      throw std::bad_alloc();
    }
    const std::size_t wanted = (floats + page - 1) / page * page;
    capacity = 0;
    memory.reset();
    memory.reset(static_cast<float*>(std::aligned_alloc(4096, wanted * sizeof(float))));
    if (!memory) throw std::bad_alloc();
    capacity = wanted;
  }
  return memory.get();
}

namespace {

void need(const AttentionOperand& operand, const char* name) {
  if (operand.data == nullptr) fail("attention: ", name, " is missing (null data)");
}

void check(const Attention& a) {
  const struct {
    const char* name;
    std::int64_t size, least;
  } sizes[] = {{"batch", a.batch, 0}, {"queries", a.queries, 0},     {"keys", a.keys, 0},
               {"heads", a.heads, 1}, {"key_heads", a.key_heads, 1}, {"width", a.width, 1}};
  for (const auto& s : sizes) {
    if (s.size < s.least)
      fail("attention: ", s.name, " is ", s.size, ", expected at least ", s.least);
  }
  if (a.heads % a.key_heads != 0) {
    fail("attention: ", a.heads, " heads cannot share ", a.key_heads,
         " key heads evenly; key_heads must divide heads");
  }
  if (a.type != DType::f32 && a.type != DType::bf16) {
    fail("attention: type ", name_of(a.type), " is not supported, expected f32 or bf16");
  }
  if (!(a.dropout >= 0.0f && a.dropout < 1.0f)) {
    fail("attention: dropout is ", a.dropout, ", expected at least 0 and below 1");
  }
  if ((a.query_segment == nullptr) != (a.key_segment == nullptr)) {
    fail("attention: query_segment and key_segment must be given together");
  }
  for (std::int64_t b = 0; a.offset != nullptr && b < a.batch; ++b) {
    if (a.offset[b] < 0)
      fail("attention: offset[", b, "] is ", a.offset[b], ", expected 0 or more");
  }
  if (a.batch * a.queries > 0) {
    need(a.q, "q");
    need(a.out, "out");
  }
  if (a.batch * a.keys > 0) {
    need(a.k, "k");
    need(a.v, "v");
  }
}

}  // namespace

void attention(const Attention& a) {
  check(a);
  if (a.batch * a.queries == 0) return;
  LATHE_CALL_KERNEL(attention_forward_kernel, a)
}

void attention_backward(const AttentionBackward& a) {
  check(a.forward);
  if (a.forward.batch * a.forward.queries > 0) {
    need(a.out_gradient, "out_gradient");
    need(a.q_gradient, "q_gradient");
    if (a.forward.lse == nullptr) fail("attention: the backward needs lse of the forward");
  }
  if (a.forward.batch * a.forward.keys > 0) {
    need(a.k_gradient, "k_gradient");
    need(a.v_gradient, "v_gradient");
  }
  if (a.forward.batch == 0) return;
  LATHE_CALL_KERNEL(attention_backward_kernel, a)
}

}  // namespace lathe::kernels
