#include <lathe/learn/rollouts.h>

#include <lathe/base/error.h>

#include <utility>

namespace lathe {

void RolloutsFeed::open(const FeedContext& context) {
  if (!context.make_environment || context.objective == nullptr) {
    fail("feed 'rollouts' acts in an environment: add [environment] use = \"...\"");
  }
  context_ = context;
  if (context.make_environment(1)->observations().kind == Space::Kind::tokens) {
    texts_ = std::make_unique<TextCollector>(context, with_.environments, with_.group);
  } else {
    collector_ = std::make_unique<Collector>(context, with_.environments);
  }
  arena_ = std::make_unique<Arena>(context.parameters->backend());
  if (with_.environments * with_.steps < with_.minibatches) {
    fail("feed 'rollouts': ", with_.environments, " x ", with_.steps, " steps cannot be cut into ",
         with_.minibatches, " minibatches");
  }
}

void RolloutsFeed::collect() {
  const ActingRule rule = context_.objective->acting(actions_taken());
  collection_ = texts_ ? texts_->collect(rule) : collector_->collect(with_.steps, rule);
  const Arena::Step memory(*arena_, cat("prepare ", collection_.rows, "x", collection_.length));
  const NoGradient silent;
  context_.objective->prepare(collection_, {.model = context_.model,
                                            .parameters = context_.parameters,
                                            .options = {},
                                            .tokenizer = context_.tokenizer,
                                            .seed = context_.seed});
  collection_.prepared = true;
  metrics_ = std::exchange(collection_.metrics, {});
  ++collections_;
  next_ = 0;
}

// Minibatch k of epoch e holds the places (of texts: the rows) k n / K ... (k + 1) n / K of that
// epoch's permutation.
Batch RolloutsFeed::part(std::int64_t number) {
  const std::int64_t epoch = number / with_.minibatches;
  const std::int64_t count = texts_ ? collection_.rows : collection_.rows * collection_.length;
  const std::int64_t k = number % with_.minibatches;
  const RandomStream order(context_.seed, "minibatches",
                           static_cast<std::uint64_t>(collections_ * with_.epochs + epoch));
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = k * count / with_.minibatches; i < (k + 1) * count / with_.minibatches;
       ++i) {
    chosen.push_back(static_cast<std::int64_t>(
        permuted(order, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(count))));
  }
  return texts_ ? select_rows(collection_, chosen) : select_places(collection_, chosen);
}

Batch RolloutsFeed::evaluation() {
  Batch batch;
  batch.prepared = true;
  batch.experience.rewards = {0};
  const ActingRule rule = context_.objective->playing();
  batch.metrics =
      texts_ ? texts_->play(context_.episodes, rule) : collector_->play(context_.episodes, rule);
  return batch;
}

Batch RolloutsFeed::batch(std::int64_t) {
  if (context_.split == Split::validation) return evaluation();
  const std::int64_t parts = with_.epochs * with_.minibatches;
  if (collections_ == 0 || next_ == parts) collect();
  Batch batch = with_.minibatches == 1 ? collection_ : part(next_);
  batch.metrics = std::exchange(metrics_, {});
  batch.written = collection_.written;
  ++next_;
  return batch;
}

void RolloutsFeed::observe(const Batch&, const Loss& loss) {
  if (loss.stop) next_ = with_.epochs * with_.minibatches;
}

std::int64_t RolloutsFeed::actions_taken() const {
  return texts_ ? texts_->actions_taken() : collector_->actions_taken();
}

void RolloutsFeed::save(State& state) const {
  State collector;
  if (texts_) texts_->save(collector);
  if (collector_) collector_->save(collector);
  state.put("collector", collector);
  state.put("collections", collections_);
  state.put("next", next_);
  State collection;
  save_batch(collection_, collection);
  state.put("collection", collection);
}

void RolloutsFeed::load(const State& state) {
  if (texts_) texts_->load(state.part("collector"));
  if (collector_) collector_->load(state.part("collector"));
  collections_ = state.integer("collections");
  next_ = state.integer("next");
  collection_ = load_batch(state.part("collection"));
}

}  // namespace lathe
