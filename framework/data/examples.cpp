#include <lathe/base/error.h>
#include <lathe/data/examples.h>

namespace lathe {

Example marked_example(const MarkedTokens& tokens, std::int64_t prompt, bool all_count) {
  Example example;
  example.tokens = tokens.ids;
  example.weights.reserve(tokens.ids.size());
  for (const std::uint8_t is_response : tokens.is_response) {
    example.weights.push_back(all_count || is_response != 0 ? 1.0f : 0.0f);
  }
  example.prompt = prompt;
  return example;
}

std::int64_t training_share(std::int64_t count, double held_out) {
  return static_cast<std::int64_t>((1.0 - held_out) * static_cast<double>(count));
}

void demand_index(std::int64_t index, std::int64_t size, Split split, std::string_view what) {
  if (index >= 0 && index < size) return;
  fail(what, ": there is no ", name_of(split), " example ", index, ": there are ", size);
}

}  // namespace lathe
