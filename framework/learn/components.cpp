#include <lathe/learn/components.h>
#include <lathe/learn/feeds.h>
#include <lathe/learn/optimizers.h>
#include <lathe/learn/schedules.h>
#include <lathe/text/bpe.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>

namespace lathe {

void add_components(Registry& registry) {
  registry.add<Tokenizer, BytesTokenizer>("bytes", "1.0.0");
  registry.add<Tokenizer, CharsTokenizer>("chars", "1.0.0");
  registry.add<Tokenizer, BpeTokenizer>("bpe", "1.0.0");
  registry.add<Feed, WindowsFeed>("windows", "1.0.0");
  registry.add<Feed, RowsFeed>("rows", "1.0.0");
  registry.add<Feed, PackedFeed>("packed", "1.0.0");
  registry.add<Optimizer, AdamW>("adamw", "1.0.0");
  registry.add<Optimizer, Sgd>("sgd", "1.0.0");
  registry.add<Optimizer, Lion>("lion", "1.0.0");
  registry.add<Schedule, ConstantSchedule>("constant", "1.0.0");
  registry.add<Schedule, LinearSchedule>("linear", "1.0.0");
  registry.add<Schedule, CosineSchedule>("cosine", "1.0.0");
  registry.add<Schedule, WarmupStableDecay>("warmup_stable_decay", "1.0.0");
}

}  // namespace lathe
