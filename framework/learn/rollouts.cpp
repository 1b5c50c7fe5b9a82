#include <lathe/learn/rollouts.h>

#include <lathe/base/error.h>
#include <lathe/base/permutation.h>

#include <utility>

namespace lathe {

void RolloutsFeed::open(const FeedContext& context) {
  context_ = context;
  actor_.emplace(context, with_.environments, with_.group, "rollouts");
  arena_ = std::make_unique<Arena>(context.parameters->backend());
  if (actor_->writes_texts() && with_.environments < with_.minibatches) {
    fail("feed 'rollouts': environments = ", with_.environments, ", so that a collection has so ",
         "many texts; they cannot be cut into ", with_.minibatches, " minibatches");
  }
  if (with_.environments * with_.steps < with_.minibatches) {
    fail("feed 'rollouts': ", with_.environments, " x ", with_.steps, " steps cannot be cut into ",
         with_.minibatches, " minibatches");
  }
}

void RolloutsFeed::collect() {
  const ActingRule rule = context_.objective->acting(actions_taken());
  collection_ = actor_->collect(with_.steps, rule);
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

// The permutation of an epoch, numbered through all collections.
const std::vector<std::uint64_t>& RolloutsFeed::order_of(std::int64_t epoch, std::int64_t count) {
  if (ordered_ != epoch) {
    const RandomStream random(context_.seed, "minibatches", static_cast<std::uint64_t>(epoch));
    order_ = permutation(random, static_cast<std::uint64_t>(count));
    ordered_ = epoch;
  }
  return order_;
}

// Minibatch k of an epoch holds the places (of texts: the rows) k n / K ... (k + 1) n / K of its
// permutation.
Batch RolloutsFeed::part(std::int64_t number) {
  const bool texts = actor_->writes_texts();
  const std::int64_t count = texts ? collection_.rows : collection_.rows * collection_.length;
  const std::int64_t k = number % with_.minibatches;
  const std::vector<std::uint64_t>& order =
      order_of(collections_ * with_.epochs + number / with_.minibatches, count);
  const std::vector<std::int64_t> chosen(order.begin() + k * count / with_.minibatches,
                                         order.begin() + (k + 1) * count / with_.minibatches);
  return texts ? select_rows(collection_, chosen) : select_places(collection_, chosen);
}

Batch RolloutsFeed::batch(std::int64_t) {
  if (context_.split == Split::validation) return actor_->evaluation();
  const std::int64_t parts = with_.epochs * with_.minibatches;
  if (collections_ == 0 || next_ == parts) collect();
  Batch batch = with_.minibatches == 1 ? collection_ : part(next_);
  batch.metrics = std::exchange(metrics_, {});
  batch.written = collection_.written;
  batch.collection = collections_;
  batch.first = next_ == 0;
  ++next_;
  return batch;
}

// With accumulation a newer collection may have been begun before the loss of an older one is
// known.
void RolloutsFeed::observe(const Batch& batch, const Loss& loss) {
  if (loss.stop && batch.collection == collections_) next_ = with_.epochs * with_.minibatches;
}

std::int64_t RolloutsFeed::actions_taken() const { return actor_->actions_taken(); }

void RolloutsFeed::save(State& state) const {
  State collector;
  actor_->save(collector);
  state.put("collector", collector);
  state.put("collections", collections_);
  state.put("next", next_);
  State collection;
  save_batch(collection_, collection);
  state.put("collection", collection);
}

void RolloutsFeed::load(const State& state) {
  actor_->load(state.part("collector"));
  collections_ = state.integer("collections");
  next_ = state.integer("next");
  collection_ = load_batch(state.part("collection"));
}

}  // namespace lathe
