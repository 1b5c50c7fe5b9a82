#include <lathe/run/session.h>

#include <lathe/base/log.h>
#include <lathe/base/threads.h>

namespace lathe {

Session::Session(const Experiment& experiment, Registry& registry, const SessionRequest& request)
    : train(experiment.table("train")),
      evaluate(experiment.table("evaluate")),
      seed(experiment.seed()) {
  set_threads(train.threads);
  const auto table = [&](const char* name) { return experiment.table(name); };
  const auto plugin = [&](const char* name) { return experiment.plugin_of(name); };
  backend = registry.create<Backend>(plugin("backend"), table("backend"));
  if (request.data) {
    read_data(experiment, registry, request);
    feed = open_feed(experiment, registry, Split::train);
    if (dataset->size(Split::validation) > 0 || !dataset->stream(Split::validation).empty()) {
      validation = open_feed(experiment, registry, Split::validation);
    }
    objective = registry.create<Objective>(plugin("objective"), table("objective"));
    optimizer = registry.create<Optimizer>(plugin("optimizer"), table("optimizer"));
    schedule = registry.create<Schedule>(plugin("schedule"), table("schedule"));
  } else {
    tokenizer = load_tokenizer(request.tokenizer_folder);
  }
  model = registry.create<Model>(plugin("model"), table("model"));
  model->build(parameters, {.vocabulary = tokenizer->size(), .context = train.length});
  parameters.allocate(backend, precision_of(train.precision), seed);
}

void Session::read_data(const Experiment& experiment, Registry& registry,
                        const SessionRequest& request) {
  dataset = registry.create<Dataset>(experiment.plugin_of("data"), experiment.table("data"));
  DataContext context{.tokenizer = nullptr, .folder = request.work_folder, .seed = seed};
  dataset->read(context);
  if (!request.tokenizer_folder.empty()) {
    tokenizer = load_tokenizer(request.tokenizer_folder);
  } else {
    tokenizer = registry.create<Tokenizer>(experiment.plugin_of("tokenizer"),
                                           experiment.table("tokenizer"));
    if (tokenizer->needs_training()) tokenizer->train(dataset->texts());
  }
  context.tokenizer = tokenizer.get();
  dataset->tokenise(context);
}

std::unique_ptr<Feed> Session::open_feed(const Experiment& experiment, Registry& registry,
                                         Split split) {
  auto opened = registry.create<Feed>(experiment.plugin_of("feed"), experiment.table("feed"));
  const bool training = split == Split::train;
  opened->open({.dataset = dataset.get(),
                .tokenizer = tokenizer.get(),
                .split = split,
                .rows = training || evaluate.batch == 0 ? train.batch : evaluate.batch,
                .length = train.length,
                .seed = seed,
                .shuffle = training});
  return opened;
}

}  // namespace lathe
