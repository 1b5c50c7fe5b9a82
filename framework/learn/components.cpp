#include <lathe/learn/components.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/feeds.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/optimizers.h>
#include <lathe/learn/replay.h>
#include <lathe/learn/reward.h>
#include <lathe/learn/rollouts.h>
#include <lathe/learn/schedules.h>
#include <lathe/text/bpe.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>
#include <lathe/text/wordpiece.h>

namespace lathe {

namespace {
void add_kinds(Registry& registry) {
  registry.add_kind<Backend>();
  registry.add_kind<Dataset>();
  registry.add_kind<Environment>();
  registry.add_kind<Feed>();
  registry.add_kind<Model>();
  registry.add_kind<Objective>();
  registry.add_kind<Optimizer>();
  registry.add_kind<Reward>();
  registry.add_kind<Schedule>();
  registry.add_kind<Tokenizer>();
}
}  // namespace

void add_components(Registry& registry) {
  add_kinds(registry);
  registry.add<Tokenizer, BytesTokenizer>("bytes", "1.0.0");
  registry.add<Tokenizer, CharsTokenizer>("chars", "1.0.0");
  registry.add<Tokenizer, BpeTokenizer>("bpe", "1.0.0");
  registry.add<Tokenizer, WordPieceTokenizer>("wordpiece", "1.0.0");
  registry.add<Feed, WindowsFeed>("windows", "1.0.0");
  registry.add<Feed, RowsFeed>("rows", "1.0.0");
  registry.add<Feed, PackedFeed>("packed", "1.0.0");
  registry.add<Feed, PairsFeed>("pairs", "1.0.0");
  registry.add<Feed, RolloutsFeed>("rollouts", "1.0.0");
  registry.add<Feed, ReplayFeed>("replay", "1.0.0");
  registry.add<Optimizer, AdamW>("adamw", "1.0.0");
  registry.add<Optimizer, Sgd>("sgd", "1.0.0");
  registry.add<Optimizer, Lion>("lion", "1.0.0");
  registry.add<Optimizer, RmsProp>("rmsprop", "1.0.0");
  registry.add<Schedule, ConstantSchedule>("constant", "1.0.0");
  registry.add<Schedule, LinearSchedule>("linear", "1.0.0");
  registry.add<Schedule, CosineSchedule>("cosine", "1.0.0");
  registry.add<Schedule, WarmupStableDecay>("warmup_stable_decay", "1.0.0");
}

}  // namespace lathe
