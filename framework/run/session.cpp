#include <lathe/run/session.h>

#include <lathe/base/log.h>
#include <lathe/base/threads.h>
#include <lathe/run/start.h>
#include <lathe/run/state_files.h>

namespace lathe {
template <class Kind>
std::unique_ptr<Kind> Session::make(const char* table) const {
  return registry_.create<Kind>(experiment_.plugin_of(table), experiment_.table(table));
}

// A backend that this machine lacks: the message says which others it has.
std::unique_ptr<Backend> Session::make_backend() const {
  try {
    return make<Backend>("backend");
  } catch (const Unavailable& reason) {
    std::string others;
    for (const std::string& name : registry_.names("backend")) {
      if (name == experiment_.plugin_of("backend")) continue;
      try {
        registry_.create<Backend>(name, Config());
        others += (others.empty() ? "" : ", ") + name;
      } catch (const Error&) {  // it would not do either
      }
    }
    if (others.empty()) throw;
    throw Unavailable(cat(reason.what(), ". Backends that work on this machine: ", others,
                          " (backend=NAME on the command line); `lathe doctor` says more"));
  }
}

Session::Session(const Experiment& experiment, Registry& registry, const SessionRequest& request)
    : start(request.start),
      train(experiment.table("train")),
      asynchronous(experiment.table("asynchronous")),
      wrap(experiment.table("wrap")),
      evaluate(experiment.table("evaluate")),
      seed(experiment.seed()),
      experiment_(experiment),
      registry_(registry),
      work_folder_(request.work_folder) {
  set_threads(train.threads);
  backend = make_backend();
  if (experiment.uses("data") || !experiment.uses("environment")) {
    if (request.data) {
      read_data(request);
    } else {
      tokenizer = load_tokenizer(request.tokenizer_folder);
    }
  }
  fit.context = train.length;
  if (tokenizer) {
    fit.observations = fit.actions = Space::tokens(tokenizer->size());
    fit.vocabulary = tokenizer->size();  // rewards may load models that read the same tokens
  }
  if (request.data) make_rewards();
  objective = make<Objective>("objective");
  see_environment(request.data);
  make_model();
  if (!request.data) return;
  if (request.tokenizer_folder.empty() && !train.start.empty()) {
    if (tokenizer) demand_same_tokens(experiment, *tokenizer, work_folder_);
    start = start_weights((work_folder_ / train.start).string());
    take_start(start->checkpoint, parameters);
    log_info("starting from the weights of ", (work_folder_ / train.start).string());
  }
  open_objective(*objective, *model, parameters);
  FeedContext context{
      .model = model.get(), .parameters = &parameters, .objective = objective.get()};
  feed = open_feed(context);
  const bool held_out = dataset && (dataset->size(Split::validation) > 0 ||
                                    !dataset->stream(Split::validation).empty());
  if (held_out || (sight && !dataset)) {
    context.split = Split::validation;
    validation = open_feed(context);
  }
  if (evaluate.best == "auto") evaluate.best = sight ? "return" : "loss";
  if (evaluate.goal == "auto") evaluate.goal = evaluate.best == "return" ? "max" : "min";
  optimizer = make<Optimizer>("optimizer");
  schedule = make<Schedule>("schedule");
}

void Session::read_data(const SessionRequest& request) {
  dataset = make<Dataset>("data");
  DataContext context{.tokenizer = nullptr, .folder = request.work_folder, .seed = seed};
  dataset->read(context);
  if (!request.tokenizer_folder.empty()) {
    tokenizer = load_tokenizer(request.tokenizer_folder);
  } else {
    tokenizer = make<Tokenizer>("tokenizer");
    if (tokenizer->needs_training()) tokenizer->train(dataset->texts());
  }
  context.tokenizer = tokenizer.get();
  dataset->tokenise(context);
}

void Session::make_rewards() {
  std::vector<Rewards::Part> parts;
  for (const Filling& filling : experiment_.fillings()) {
    if (filling.kind != Reward::kind) continue;
    const Config table = experiment_.table(filling.path);
    const RewardSettings settings(table);
    auto reward = registry_.create<Reward>(filling.plugin, table.without("weight").without("name"));
    reward->open({.folder = work_folder_,
                  .seed = seed,
                  .tokenizer = tokenizer.get(),
                  .load_model = [this](const std::string& run) { return load_model(run); }});
    parts.push_back({settings.name.empty() ? filling.plugin : settings.name, settings.weight,
                     std::move(reward)});
  }
  if (!parts.empty()) rewards = std::make_unique<Rewards>(std::move(parts));
}

std::unique_ptr<Environment> Session::make_environment(std::int64_t rows, Split split,
                                                       std::int64_t worker) const {
  auto made = wrapped(make<Environment>("environment"), wrap, objective->discount(), statistics);
  const std::uint64_t own = seed + 100003 * static_cast<std::uint64_t>(worker);
  // Held-out episodes are others than those of training.
  made->open({.rows = rows,
              .seed = split == Split::train ? own : ~own,
              .split = split,
              .length = train.length,
              .dataset = dataset.get(),
              .tokenizer = tokenizer.get(),
              .rewards = rewards.get()});
  return made;
}

// What the model will see and choose from.
void Session::see_environment(bool data) {
  statistics = std::make_shared<WrapStatistics>();
  if (asynchronous.workers > 0 && (wrap.normalise_observations || wrap.normalise_rewards)) {
    fail(experiment_.table("wrap").where(),
         ": normalisation learns from all observations in their ",
         "order, which asynchronous workers do not have; leave one of the two out");
  }
  if (experiment_.uses("environment") && (data || !tokenizer)) {
    sight = make_environment(1, Split::train);
    fit.observations = sight->observations();
    fit.actions = sight->actions();
  }
  fit.vocabulary = fit.actions.size;
}

void Session::make_model() {
  fit.values = objective->wants_values();
  model = make<Model>("model");
  model->build(parameters, fit);
  parameters.allocate(backend, precision_of(train.precision), seed);
}

std::unique_ptr<ModelCopy> Session::fresh_model(const std::shared_ptr<Backend>& on) const {
  auto copy = std::make_unique<ModelCopy>();
  copy->model = make<Model>("model");
  copy->model->build(copy->parameters, fit);
  copy->parameters.allocate(on, precision_of(train.precision), seed);
  return copy;
}

std::unique_ptr<ModelCopy> Session::initial_model() const {
  auto copy = fresh_model(backend);
  if (start) take_start(checkpoint_with(*start, work_folder_ / train.start), copy->parameters);
  return copy;
}

// A value head may be new: the former run had perhaps no objective that asks for one.
void Session::take_start(const std::string& checkpoint, Parameters& taking) const {
  ModelFit without = fit;
  without.values = false;
  Parameters demanded;
  make<Model>("model")->build(demanded, without);
  load_weights(checkpoint, taking, &demanded);
}

std::unique_ptr<ModelCopy> Session::load_model(const std::string& run) const {
  const std::filesystem::path folder = work_folder_ / run;
  if (!std::filesystem::exists(folder / "resolved.toml")) {
    fail(folder.string(), ": is not a run (it has no resolved.toml)");
  }
  const Experiment other(folder / "resolved.toml", {}, registry_);
  ModelFit shape = fit;
  if (tokenizer) {
    const std::unique_ptr<Tokenizer> theirs = load_tokenizer(folder);
    bool same = theirs->size() == tokenizer->size();
    for (std::int32_t id = 0; same && id < theirs->size(); ++id) {
      same = theirs->token(id) == tokenizer->token(id);
    }
    if (!same) {
      fail(folder.string(), ": its model reads other tokens than this experiment's; give both the ",
           "same tokenizer");
    }
  }
  shape.context = TrainSettings(other.table("train")).length;
  shape.values =
      registry_.create<Objective>(other.plugin_of("objective"), other.table("objective"))
          ->wants_values();
  auto copy = std::make_unique<ModelCopy>();
  copy->model = registry_.create<Model>(other.plugin_of("model"), other.table("model"));
  copy->model->build(copy->parameters, shape);
  copy->parameters.allocate(backend, precision_of(train.precision), other.seed());
  load_weights(checkpoint_of(folder.string(), true), copy->parameters);
  return copy;
}

void Session::open_objective(Objective& opened, const Model& of, const Parameters& weights) const {
  opened.open({.model = &of,
               .parameters = &weights,
               .environment = sight.get(),
               .tokenizer = tokenizer.get(),
               .seed = seed,
               .steps = train.steps,
               .copy =
                   [this, &weights] {
                     auto copy = fresh_model(weights.backend());
                     copy->take(weights);
                     return copy;
                   },
               .initial = [this] { return initial_model(); },
               .load_model = [this](const std::string& run) { return load_model(run); }});
}

WorkerParts Session::make_worker(std::int64_t number, bool own_backend) const {
  WorkerParts parts;
  parts.copy = fresh_model(own_backend ? std::shared_ptr(make_backend()) : backend);
  parts.copy->take(parameters);
  parts.objective = make<Objective>("objective");
  open_objective(*parts.objective, *parts.copy->model, parts.copy->parameters);
  parts.feed = open_feed({.make_environment =
                              [this, number](std::int64_t rows) {
                                return make_environment(rows, Split::train, number);
                              },
                          .model = parts.copy->model.get(),
                          .parameters = &parts.copy->parameters,
                          .objective = parts.objective.get(),
                          .stream = number == 0 ? "act" : cat("act/", number)});
  return parts;
}

std::vector<std::int32_t> Session::recorded_order() const {
  if (asynchronous.record.empty()) {
    fail(experiment_.table("asynchronous").where(),
         ": order = \"replay\" needs record = \"...\", the run to replay");
  }
  const std::string run = (work_folder_ / asynchronous.record).string();
  return load_components(checkpoint_of(run, false)).part("workers").get<std::int32_t>("order");
}

// Fills in what the experiment says; the model, the objective and the split are given.
std::unique_ptr<Feed> Session::open_feed(FeedContext context) const {
  auto opened = make<Feed>("feed");
  const Split split = context.split;
  const bool training = split == Split::train;
  context.dataset = dataset.get();
  context.tokenizer = tokenizer.get();
  context.rows = training || evaluate.batch == 0 ? train.batch : evaluate.batch;
  context.length = train.length;
  context.seed = seed;
  context.shuffle = training;
  context.episodes = evaluate.episodes;
  context.longest = evaluate.longest;
  if (!training) context.stream = "play";
  if (!context.make_environment && sight) {
    context.make_environment = [this, split](std::int64_t rows) {
      return make_environment(rows, split);
    };
  }
  opened->open(context);
  return opened;
}

}  // namespace lathe
