#include <lathe/learn/replay.h>

#include <algorithm>
#include <utility>

namespace lathe {

ReplayFeed::ReplayFeed(const Config& config) : with_(config) {
  if (with_.order == "once" && with_.priority > 0) {
    fail(config.where(), ": order = \"once\" hands out each transition once, so that priority ",
         with_.priority, " decides nothing; set priority = 0");
  }
}

void ReplayFeed::open(const FeedContext& context) {
  context_ = context;
  random_ = RandomStream(context.seed, "replay");
  const bool training = context.split == Split::train;
  const std::int64_t rows =
      training ? with_.environments : std::min<std::int64_t>(context.episodes, 16);
  actor_.emplace(context, rows, 1, "replay");
  if (actor_->writes_texts()) {
    if (with_.steps != 1) fail("feed 'replay': texts are remembered whole; set feed.steps = 1");
    text_layout_ = TextLayout(std::max(context.length, context.model->context()));
  } else {
    layout_ = TransitionLayout(actor_->observations(), actor_->actions());
    cutter_ = StepCutter(rows, with_.steps, context.objective->discount());
  }
  if (!training) return;
  memory_ =
      ReplayMemory({.capacity = with_.capacity,
                    .record_bytes = actor_->writes_texts() ? text_layout_.bytes() : layout_.bytes(),
                    .folder = with_.folder,
                    .exponent = with_.priority,
                    .offset = with_.offset});
}

void ReplayFeed::remember(const Batch& collection) {
  if (actor_->writes_texts()) {
    std::vector<std::byte> record(text_layout_.bytes());
    for (std::int64_t row = 0; row < collection.rows; ++row) {
      text_layout_.write(collection, row, record);
      memory_.add(record);
    }
    return;
  }
  std::vector<std::byte> record(layout_.bytes());
  for (const StepTransition& transition : cutter_.cut(collection)) {
    layout_.write(transition, record);
    memory_.add(record);
  }
}

void ReplayFeed::collect() {
  const std::int64_t taken = actions_taken();
  ActingRule rule = context_.objective->acting(taken);
  if (with_.random_start && with_.order == "random" && taken < with_.start) {
    rule = {.kind = ActingRule::Kind::epsilon_greedy, .epsilon = 1, .look_ahead = rule.look_ahead};
  }
  const Batch collection = actor_->collect(with_.collect, rule);
  remember(collection);
  for (const Metric& metric : collection.metrics) {
    const auto known = std::find_if(metrics_.begin(), metrics_.end(),
                                    [&](const Metric& other) { return other.name == metric.name; });
    if (known == metrics_.end()) {
      metrics_.push_back(metric);
    } else {
      known->sum += metric.sum;
      known->weight += metric.weight;
    }
  }
}

Batch ReplayFeed::of_places(const std::vector<std::int64_t>& places) const {
  std::vector<std::span<const std::byte>> records;
  records.reserve(places.size());
  for (const std::int64_t place : places) {
    records.push_back(memory_.record(place));
    // Records drawn at random are slow to come: all of them set out at once.
    __builtin_prefetch(&records.back().front());
    __builtin_prefetch(&records.back().back());
  }
  Batch batch = actor_->writes_texts() ? text_layout_.batch(records) : layout_.batch(records);
  batch.experience.replay_places = places;
  return batch;
}

// The correction of batch k of K: from `importance` to `importance_last` in equal steps.
Batch ReplayFeed::drawn(std::int64_t number) const {
  const double share = with_.importance_steps == 0
                           ? 0
                           : std::min(1.0, static_cast<double>(number) /
                                               static_cast<double>(with_.importance_steps));
  const double importance = with_.importance + share * (with_.importance_last - with_.importance);
  const RandomStream random = random_.at(static_cast<std::uint64_t>(number));
  ReplayMemory::Draw draw = memory_.draw(context_.rows, importance, random);
  Batch batch = of_places(draw.places);
  batch.experience.replay_weights = std::move(draw.weights);
  return batch;
}

Batch ReplayFeed::next() {
  while (memory_.added() < handed_out_ + context_.rows) {
    collect();
    if (memory_.added() - handed_out_ > with_.capacity) {
      fail("feed 'replay': ", memory_.added() - handed_out_, " transitions wait to be handed out ",
           "once, more than feed.capacity ", with_.capacity, "; raise it");
    }
  }
  std::vector<std::int64_t> places;
  for (std::int64_t b = 0; b < context_.rows; ++b) {
    places.push_back((handed_out_ + b) % with_.capacity);
  }
  handed_out_ += context_.rows;
  return of_places(places);
}

Batch ReplayFeed::batch(std::int64_t number) {
  if (context_.split == Split::validation) return actor_->evaluation();
  Batch batch;
  if (with_.order == "once") {
    batch = next();
  } else {
    if (round_ == with_.updates) {
      collect();
      round_ = 0;
    }
    while (actions_taken() < with_.start || memory_.size() == 0) collect();
    batch = drawn(number);
    ++round_;
  }
  batch.metrics = std::exchange(metrics_, {});
  return batch;
}

void ReplayFeed::observe(const Batch& batch, const Loss& loss) {
  if (with_.priority == 0) return;
  const std::vector<std::int64_t>& places = batch.experience.replay_places;
  if (loss.priorities.size() != places.size()) {
    fail("feed 'replay': priority ", with_.priority, " needs the TD error of each row, but the ",
         "objective gives ", loss.priorities.size(), " for ", places.size(),
         " rows; set feed.priority = 0");
  }
  for (std::size_t b = 0; b < places.size(); ++b) {
    memory_.set_error(places[b], static_cast<double>(loss.priorities[b]));
  }
}

std::int64_t ReplayFeed::actions_taken() const { return actor_->actions_taken(); }

// No metrics wait between two batches: each batch has taken them along.
void ReplayFeed::save(State& state) const {
  const auto part = [&](const char* name, const auto& fill) {
    State inner;
    fill(inner);
    state.put(name, inner);
  };
  part("collector", [&](State& inner) { actor_->save(inner); });
  part("begun", [&](State& inner) { cutter_.save(inner, layout_); });
  part("memory", [&](State& inner) { memory_.save(inner); });
  state.put("round", round_);
  state.put("handed_out", handed_out_);
}

void ReplayFeed::load(const State& state) {
  actor_->load(state.part("collector"));
  cutter_.load(state.part("begun"), layout_);
  memory_.load(state.part("memory"));
  round_ = state.integer("round");
  handed_out_ = state.integer("handed_out");
}

}  // namespace lathe
