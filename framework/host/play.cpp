// lathe play: an episode of a trained policy, step by step in the terminal.
#include <lathe/base/json.h>
#include <lathe/host/verb.h>
#include <lathe/learn/collector.h>
#include <lathe/learn/text_collector.h>
#include <lathe/run/manifest.h>
#include <lathe/run/session.h>
#include <lathe/run/state_files.h>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()("episode", po::value<std::int64_t>()->default_value(0),
                        "number of the (held-out) episode")(
      "explore", "act as in training instead of as in evaluation")(
      "delay", po::value<double>()->default_value(0.1), "seconds between two steps on a terminal")(
      "newest", "the newest checkpoint, not the best");
}

void print_moment(const Collector::Moment& moment, bool json, std::int64_t step, double total) {
  const std::string picture = moment.environment->render(0);
  if (json) {
    const Json line = {{"step", step},    {"action", moment.action}, {"reward", moment.reward},
                       {"return", total}, {"ended", moment.ended},   {"picture", picture}};
    std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  if (step > 0) {
    std::printf("step %lld: %s, reward %g, return %g\n", static_cast<long long>(step),
                moment.action.c_str(), moment.reward, total);
  }
  std::printf("%s%s\n", picture.c_str(), picture.empty() || picture.back() == '\n' ? "" : "\n");
  std::fflush(stdout);
}

void play_steps(const FeedContext& context, const ActingRule& rule, const Arguments& arguments) {
  Collector collector(context, 1);
  std::int64_t step = 0;
  double total = 0;
  const bool json = arguments.has("json");
  const bool slow = !json && isatty(STDOUT_FILENO) != 0;
  const std::chrono::duration<double> delay(slow ? arguments.options["delay"].as<double>() : 0);
  const auto episode = static_cast<std::uint64_t>(arguments.options["episode"].as<std::int64_t>());
  collector.watch(episode, rule, [&](const Collector::Moment& moment) {
    total += moment.reward;
    print_moment(moment, json, step++, total);
    std::this_thread::sleep_for(delay);
  });
}

void play_text(const FeedContext& context, const ActingRule& rule, const Arguments& arguments) {
  TextCollector collector(context, 1, 1);
  const auto episode = static_cast<std::uint64_t>(arguments.options["episode"].as<std::int64_t>());
  for (const Written& written : collector.perform(episode, rule).written) {
    if (arguments.has("json")) {
      const Json line = {
          {"prompt", written.prompt}, {"text", written.text}, {"score", written.score}};
      std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      std::printf("%s%s\nscore %g\n", written.prompt.c_str(), written.text.c_str(), written.score);
    }
  }
}

int play(const Arguments& arguments, Registry& registry) {
  const std::filesystem::path folder = arguments.word(0, "run folder");
  arguments.demand_at_most(1);
  const std::int64_t episode = arguments.options["episode"].as<std::int64_t>();
  if (episode < 0) throw UsageError(cat("--episode is ", episode, ", allowed: at least 0"));
  if (!std::filesystem::exists(folder / "resolved.toml")) {
    fail(folder.string(), ": is not a run (it has no resolved.toml)");
  }
  const Experiment experiment(folder / "resolved.toml", {}, registry);
  if (!experiment.uses("environment")) {
    fail(folder.string(), ": this run has no environment to play in; for text: lathe generate");
  }
  const ManifestNotes notes = read_manifest(folder);
  Session session(experiment, registry,
                  {.work_folder = notes.work_folder,
                   .tokenizer_folder = folder,
                   .start = notes.start,
                   .data = true});
  const std::string checkpoint = checkpoint_of(folder.string(), !arguments.has("newest"));
  load_weights(checkpoint, session.parameters);
  session.feed->load(load_components(checkpoint).part("feed"));  // what normalisation has learnt
  const FeedContext context{
      .dataset = session.dataset.get(),
      .tokenizer = session.tokenizer.get(),
      .split = Split::validation,
      .length = session.train.length,
      .seed = session.seed,
      .make_environment =
          [&](std::int64_t rows) { return session.make_environment(rows, Split::validation); },
      .model = session.model.get(),
      .parameters = &session.parameters,
      .objective = session.objective.get(),
      .longest = session.evaluate.longest,
      .stream = "play"};
  const ActingRule rule =
      arguments.has("explore") ? session.objective->acting(0) : session.objective->playing();
  if (session.fit.observations.kind == Space::Kind::tokens) {
    play_text(context, rule, arguments);
  } else {
    play_steps(context, rule, arguments);
  }
  return exit_done;
}

}  // namespace

const Verb play_verb = {"play", "RUN", "show an episode of a trained policy", declare, play};

}  // namespace lathe
