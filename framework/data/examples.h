// Small rules that several datasets share.
#pragma once

#include <lathe/data/dataset.h>
#include <lathe/text/chat.h>

#include <cstdint>

namespace lathe {

// An example from marked tokens: weight 1 where the response is, or everywhere if `all_count`, and
// 0 elsewhere.
Example marked_example(const MarkedTokens& tokens, std::int64_t prompt, bool all_count);

// How many of `count` ordered things are for training when the last share of them is held out:
// int((1 - share) count), as nanoGPT cuts its text.
std::int64_t training_share(std::int64_t count, double held_out);

// Throws Error naming `what` and the split unless index is in 0..size-1.
void demand_index(std::int64_t index, std::int64_t size, Split split, std::string_view what);

}  // namespace lathe
