// lathe generate: write text with the model of a run.
#include <lathe/base/json.h>
#include <lathe/host/verb.h>
#include <lathe/learn/generation.h>
#include <lathe/run/manifest.h>
#include <lathe/run/session.h>
#include <lathe/run/state_files.h>

#include <cstdio>
#include <iostream>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()("tokens", po::value<std::int64_t>()->default_value(128),
                        "most tokens to write")(
      "temperature", po::value<double>()->default_value(1.0), "0: always the most likely token")(
      "greedy", "the same as --temperature 0")("top-k", po::value<std::int64_t>()->default_value(0),
                                               "keep the k most likely tokens")(
      "top-p", po::value<double>()->default_value(1.0), "keep the likeliest mass p")(
      "min-p", po::value<double>()->default_value(0.0), "keep tokens at least p times the best")(
      "repetition-penalty", po::value<double>()->default_value(1.0), "above 1: repeat less")(
      "stop", po::value<std::vector<std::string>>(), "stop at this text; may be given again")(
      "overflow", po::value<std::string>()->default_value("slide"),
      "slide or stop when the context is full")("seed", po::value<std::int64_t>()->default_value(0),
                                                "of the sampling")(
      "samples", po::value<int>()->default_value(1), "completions of each prompt")(
      "log-probabilities", "also print each token with its log-probability (with --json)")(
      "newest", "the newest checkpoint, not the best")("precision", po::value<std::string>(),
                                                       "f32 or bf16, in place of the run's")(
      "backend", po::value<std::string>(), "in place of the run's")(
      "prompts", po::value<std::string>(), "a file with one prompt a line");
}

GenerationOptions options_of(const Arguments& arguments) {
  const Origin origin{.file = "command line"};
  const auto number = [&](const char* name) {
    return Config::number(arguments.options[name].as<double>(), origin);
  };
  const auto integer = [&](const char* name) {
    return Config::integer(arguments.options[name].as<std::int64_t>(), origin);
  };
  std::vector<Config> stops;
  if (arguments.has("stop")) {
    for (const std::string& stop : arguments.options["stop"].as<std::vector<std::string>>()) {
      stops.push_back(Config::text(stop));
    }
  }
  const Config temperature =
      arguments.has("greedy") ? Config::number(0, origin) : number("temperature");
  const Config config =
      Config::table({{"tokens", integer("tokens")},
                     {"temperature", temperature},
                     {"top_k", integer("top-k")},
                     {"top_p", number("top-p")},
                     {"min_p", number("min-p")},
                     {"repetition_penalty", number("repetition-penalty")},
                     {"overflow", Config::text(arguments.text("overflow"), origin)},
                     {"stop", Config::list(stops)}},
                    origin)
          .rooted("");
  demand(config, schema_of<GenerationOptions>(), "lathe generate");
  return GenerationOptions(config);
}

std::vector<std::string> prompts_of(const Arguments& arguments) {
  std::vector<std::string> prompts(arguments.words.begin() + 1, arguments.words.end());
  if (arguments.has("prompts")) {
    const std::string text = read_file(arguments.text("prompts"));
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      if (end > begin) prompts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (prompts.empty()) {
    throw UsageError("no prompt was given: write it behind the run, or use --prompts FILE");
  }
  return prompts;
}

void print_json(const Completion& completion, const std::string& prompt, const Tokenizer& tokenizer,
                bool probabilities) {
  Json line = {{"prompt", prompt},
               {"text", completion.text},
               {"reason", name_of(completion.reason)},
               {"tokens", completion.tokens.size()}};
  if (probabilities) {
    Json tokens = Json::array();
    for (std::size_t i = 0; i < completion.tokens.size(); ++i) {
      tokens.push_back({{"id", completion.tokens[i]},
                        {"token", tokenizer.token(completion.tokens[i])},
                        {"log_probability", completion.log_probabilities[i]},
                        {"sampled_log_probability", completion.sampled_log_probabilities[i]}});
    }
    line["log_probabilities"] = tokens;
  }
  std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

int generate(const Arguments& arguments, Registry& registry) {
  const std::filesystem::path folder = arguments.word(0, "run folder");
  if (!exists((folder / "resolved.toml").string())) {
    fail(folder.string(), ": is not a run (it has no resolved.toml)");
  }
  std::vector<std::string> changes;
  if (arguments.has("precision"))
    changes.push_back("train.precision=" + arguments.text("precision"));
  if (arguments.has("backend")) changes.push_back("backend=" + arguments.text("backend"));
  const Experiment experiment(folder / "resolved.toml", changes, registry);
  const GenerationOptions options = options_of(arguments);
  const std::vector<std::string> texts = prompts_of(arguments);
  Session session(experiment, registry,
                  {.work_folder = {}, .tokenizer_folder = folder, .data = false});
  load_weights(checkpoint_of(folder.string(), !arguments.has("newest")), session.parameters);

  const int samples = arguments.options["samples"].as<int>();
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::string> shown;
  for (const std::string& text : texts) {
    for (int sample = 0; sample < samples; ++sample) {
      prompts.push_back(session.tokenizer->encode(text));
      shown.push_back(text);
    }
  }
  const bool json = arguments.has("json");
  const bool streaming = !json && prompts.size() == 1;
  if (streaming) std::cout << shown[0] << std::flush;
  const Generator generator(*session.model, session.parameters, *session.tokenizer);
  const auto show = [](std::size_t, std::string_view text) { std::cout << text << std::flush; };
  const std::vector<Completion> completions = generator.complete(
      prompts, options, static_cast<std::uint64_t>(arguments.options["seed"].as<std::int64_t>()),
      streaming ? Generator::Listener(show) : Generator::Listener());
  if (streaming) std::cout << std::endl;
  for (std::size_t i = 0; i < completions.size() && !streaming; ++i) {
    if (json) {
      print_json(completions[i], shown[i], *session.tokenizer, arguments.has("log-probabilities"));
    } else {
      std::printf("%s%s\n---\n", shown[i].c_str(), completions[i].text.c_str());
    }
  }
  return exit_done;
}
}  // namespace

const Verb generate_verb{"generate", "RUN \"prompt\" ...", "write text with a trained model",
                         declare, generate};

}  // namespace lathe
