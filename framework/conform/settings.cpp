#include <lathe/conform/settings.h>
#include <lathe/conform/small_model.h>
#include <lathe/learn/feed.h>
#include <lathe/learn/model_copy.h>
#include <lathe/text/bytes.h>

#include <algorithm>

namespace lathe::conform {
namespace {
const BytesTokenizer& shared_tokenizer() {
  static const BytesTokenizer tokenizer(true);  // with a mask, for losses that hide tokens
  return tokenizer;
}

World world_of_bytes() {
  World world{.name = "text", .fit = {}};
  world.fit.vocabulary = shared_tokenizer().size();
  world.fit.context = Examples::longest;
  world.fit.observations = world.fit.actions = Space::tokens(world.fit.vocabulary);
  return world;
}

// Where an objective only asks what is seen and done.
class Stage final : public Environment {
 public:
  explicit Stage(const World& world) : world_(world) {}
  void open(const EnvironmentContext&) override {}
  Space observations() const override { return world_.fit.observations; }
  Space actions() const override { return world_.fit.actions; }
  void reset(std::int64_t, std::uint64_t, Observations&) override {}
  void step(const Actions&, Observations&, Outcomes&) override {}
  void save(State&) const override {}
  void load(const State&) override {}

  // Of counted states: each action goes on to another one, or, one time in four, to the end.
  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    const Space& seen = world_.fit.observations;
    if (seen.kind != Space::Kind::discrete) return {};
    const auto next = static_cast<std::int32_t>((state + action + 1) % seen.size);
    return {{0.75, next, 0.5 * state - action, false}, {0.25, next, 1, true}};
  }
  std::vector<Transition> beginnings() const override { return {{0.5, 0, 0}, {0.5, 1, 0}}; }

 private:
  const World& world_;
};

bool acts(const Trial& trial, const std::string& feed) {
  const auto needs = trial.registry().find("feed", feed).needs;
  return std::any_of(needs.begin(), needs.end(),
                     [](std::string_view word) { return word == "environment"; });
}

void add_feeds(const Trial& trial, std::vector<Setting>& settings) {
  static const Examples examples(RandomStream(31, "conform/objective"), 24);
  for (const std::string& name : trial.registry().names("feed")) {
    if (acts(trial, name)) continue;
    try {
      const auto feed = trial.registry().create<Feed>(name, Config());
      feed->open({.dataset = &examples,
                  .tokenizer = &shared_tokenizer(),
                  .rows = 4,
                  .length = Examples::longest,
                  .seed = 3,
                  .shuffle = false});
      const Batch batch = feed->batch(0);
      for (const bool causal : {true, false}) {
        settings.push_back({cat("text, ", causal ? "causal" : "both sides", ", feed ", name),
                            world_of_bytes(), causal, batch});
      }
    } catch (const Error&) {  // a feed that needs more than examples
    }
  }
}

float number(const RandomStream& random, std::uint64_t index) {
  return static_cast<float>(2 * random.uniform53(index) - 1);
}

// What acting leaves behind, place by place.
void add_experience(Batch& batch, const RandomStream& random) {
  const auto places = static_cast<std::size_t>(batch.rows * batch.length);
  Experience& lived = batch.experience;
  for (std::size_t n = 0; n < places; ++n) {
    lived.rewards.push_back(number(random, 4 * n));
    lived.discounts.push_back(0.9f);
    lived.behaviour.push_back(-1.0f - random.uniform(4 * n + 8000));
    lived.terminated.push_back(0);
    lived.truncated.push_back(0);
  }
  for (std::int64_t row = 0; row < batch.rows; ++row) lived.groups.push_back(row / 2);
}

// Three numbers are seen, or one of five states; the action is one of four, or two numbers (such a
// batch has no targets). An episode ends in the middle of row 0, one is cut
// off in row 1, and nobody knows yet what follows the ends of the other rows.
Setting acting_setting(const World& world) {
  Setting setting{world.name, world, true, {}};
  Batch& batch = setting.batch;
  batch.rows = 4;
  batch.length = 5;
  const RandomStream random(33, "conform/control");
  add_experience(batch, random);
  Experience& lived = batch.experience;
  const Space& seen = world.fit.observations;
  const Space& acted = world.fit.actions;
  const bool counted = seen.kind == Space::Kind::discrete;
  const bool moves = acted.kind == Space::Kind::box;
  const auto state = [&](std::uint64_t index) {
    return static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(seen.size), index));
  };
  lived.width = counted ? 0 : seen.size;
  for (std::uint64_t n = 0; n < 20; ++n) {
    batch.tokens.push_back(counted ? state(500 + n) : 0);
    for (std::int64_t i = 0; moves && i < acted.size; ++i) {
      lived.moves.push_back(number(random, 900 + 2 * n + static_cast<std::uint64_t>(i)));
    }
    if (!moves) batch.targets.push_back(static_cast<std::int32_t>(random.below(4, 100 + n)));
    batch.weights.push_back(1);
    batch.positions.push_back(static_cast<std::int32_t>(n % 5));
    for (std::uint64_t i = 0; !counted && i < 3; ++i) {
      lived.observations.push_back(number(random, 500 + 3 * n + i));
    }
  }
  batch.examples.assign(4, -1);
  lived.terminated[2] = 1;
  lived.truncated[7] = 1;
  lived.open_places = {4, 7, 9, 14, 19};
  for (std::uint64_t i = 0; counted && i < 5; ++i) lived.open_states.push_back(state(700 + i));
  for (std::uint64_t i = 0; !counted && i < 15; ++i) {
    lived.open_observations.push_back(number(random, 700 + i));
  }
  if (!moves) lived.open_actions = {0, 1, 2, 3, 0};
  return setting;
}

// Texts with a prompt of weight 0, rewarded at their last place; rows 2k and 2k + 1 share a prompt.
Setting written_setting() {
  Setting setting{"written text", world_of_bytes(), true, {}};
  Batch& batch = setting.batch;
  batch.rows = 4;
  batch.length = 6;
  const RandomStream random(35, "conform/written");
  add_experience(batch, random);
  for (std::uint64_t n = 0; n < 24; ++n) {
    const bool last = n % 6 == 5;
    const bool prompt = n % 6 < 2;
    batch.tokens.push_back(
        static_cast<std::int32_t>(random.below(40, 100 + (prompt ? n % 12 : n))));
    batch.weights.push_back(prompt ? 0.0f : 1.0f);
    batch.targets.push_back(static_cast<std::int32_t>(random.below(40, 100 + n + 1)));
    batch.positions.push_back(static_cast<std::int32_t>(n % 6));
    batch.experience.terminated[n] = last ? 1 : 0;
    if (!last) batch.experience.rewards[n] = 0;
  }
  batch.examples.assign(4, -1);
  return setting;
}
}  // namespace

std::vector<Setting> settings_of(const Trial& trial) {
  std::vector<Setting> settings;
  const auto needs = trial.descriptor().needs;
  const bool on_policy = std::any_of(needs.begin(), needs.end(),
                                     [](std::string_view word) { return word == "environment"; });
  if (!on_policy) add_feeds(trial, settings);
  settings.push_back(acting_setting(control_world()));
  settings.push_back(acting_setting(counted_world()));
  if (on_policy) settings.push_back(acting_setting(moving_world()));
  settings.push_back(written_setting());
  return settings;
}

namespace {
World with_values(World world, bool values) {
  world.fit.values = values;
  return world;
}
}  // namespace

Attempt::Attempt(const Trial& trial, const Config& options, const Setting& setting)
    : learner(reference(trial), std::make_unique<SmallModel>(setting.causal),
              with_values(setting.world, trial.make<Objective>(options)->wants_values()),
              Precision::f64, 5),
      batch(setting.batch),
      objective(trial.make<Objective>(options)),
      trained_(learner.backend, std::make_unique<SmallModel>(setting.causal), learner.world,
               Precision::f32, 5),
      environment_(std::make_unique<Stage>(learner.world)) {
  learner.backend->copy(trained_.parameters.master().view(), learner.parameters.master().view());
  trial.phase("opening it for ", setting.name);
  const auto other = [this] { return copy(); };
  const bool acted = !setting.batch.experience.rewards.empty();
  objective->open({.model = trained_.model.get(),
                   .parameters = &trained_.parameters,
                   .environment = acted ? environment_.get() : nullptr,
                   .tokenizer = &shared_tokenizer(),
                   .seed = 9,
                   .steps = 100,
                   .copy = other,
                   .initial = other,
                   .load_model = [other](const std::string&) { return other(); }});
  trial.phase("preparing the batch of ", setting.name);
  const NoGradient silent;
  if (!batch.prepared) objective->prepare(batch, pass(trained_));
  batch.prepared = true;
  trial.phase("the loss of ", setting.name);
  objective->loss(batch, pass(trained_));
}

ObjectivePass Attempt::pass(const Learner& of) {
  ObjectivePass pass;
  pass.model = of.model.get();
  pass.parameters = &of.parameters;
  pass.tokenizer = &shared_tokenizer();
  pass.seed = 9;
  return pass;
}

std::unique_ptr<ModelCopy> Attempt::copy() const {
  auto made = std::make_unique<ModelCopy>();
  made->model = std::make_unique<SmallModel>(trained_.model->causal());
  made->model->build(made->parameters, trained_.world.fit);
  made->parameters.allocate(trained_.backend, Precision::f32, 5);
  made->take(trained_.parameters);
  return made;
}

}  // namespace lathe::conform
