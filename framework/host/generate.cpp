// lathe generate: write text with the model of a run.
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/host/trained_options.h>
#include <lathe/host/verb.h>
#include <lathe/learn/generation.h>
#include <lathe/learn/infill.h>

#include <cstdio>
#include <iostream>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  declare_trained(options);
  options.add_options()("tokens", po::value<std::int64_t>(),
                        "most tokens to write (128), or tokens of a gap ___ (16)")(
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
      "prompts", po::value<std::string>(), "a file with one prompt a line")(
      "order", po::value<std::string>(),
      "of filling in gaps: confidence (usual), entropy, random or left")(
      "rounds", po::value<std::int64_t>(),
      "passes that fill in a text; 0 (usual): one token a pass");
}

GenerationOptions options_of(const Arguments& arguments, std::int64_t usual_tokens) {
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
      Config::table({{"tokens", arguments.has("tokens") ? integer("tokens")
                                                        : Config::integer(usual_tokens, origin)},
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
    for (const std::string_view line : lines_of(text)) {
      if (!line.empty()) prompts.emplace_back(line);
    }
  }
  if (prompts.empty()) {
    throw UsageError("no prompt was given: write it behind the run, or use --prompts FILE");
  }
  return prompts;
}

Json token_json(std::int32_t id, double log_probability, double sampled,
                const Tokenizer& tokenizer) {
  return {{"id", id},
          {"token", tokenizer.token(id)},
          {"log_probability", log_probability},
          {"sampled_log_probability", sampled}};
}

void print_line(const Json& line) {
  std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

// What is to be written to, each prompt as often as samples of it are wanted.
std::vector<std::string> repeated(const std::vector<std::string>& prompts, int samples) {
  std::vector<std::string> all;
  for (const std::string& prompt : prompts) {
    for (int sample = 0; sample < samples; ++sample) all.push_back(prompt);
  }
  return all;
}

struct Request {
  std::vector<std::string> prompts;
  std::uint64_t seed = 0;
  bool json = false;
  bool probabilities = false;
};

void go_on(const Request& request, const GenerationOptions& options, const Session& session) {
  const Tokenizer& tokenizer = *session.tokenizer;
  std::vector<std::vector<std::int32_t>> prompts;
  for (const std::string& prompt : request.prompts) prompts.push_back(tokenizer.encode(prompt));
  const bool streaming = !request.json && prompts.size() == 1;
  if (streaming) std::cout << request.prompts[0] << std::flush;
  const Generator generator(*session.model, session.parameters, tokenizer);
  const auto show = [](std::size_t, std::string_view text) { std::cout << text << std::flush; };
  const std::vector<Completion> completions =
      generator.complete(prompts, options, request.seed,
                         streaming ? Generator::Listener(show) : Generator::Listener());
  if (streaming) std::cout << std::endl;
  for (std::size_t i = 0; i < completions.size() && !streaming; ++i) {
    const Completion& completion = completions[i];
    if (!request.json) {
      std::printf("%s%s\n---\n", request.prompts[i].c_str(), completion.text.c_str());
      continue;
    }
    Json line = {{"prompt", request.prompts[i]},
                 {"text", completion.text},
                 {"reason", name_of(completion.reason)},
                 {"tokens", completion.tokens.size()}};
    if (request.probabilities) line["log_probabilities"] = Json::array();
    for (std::size_t t = 0; request.probabilities && t < completion.tokens.size(); ++t) {
      line["log_probabilities"].push_back(
          token_json(completion.tokens[t], completion.log_probabilities[t],
                     completion.sampled_log_probabilities[t], tokenizer));
    }
    print_line(line);
  }
}

void fill_in(const Request& request, const GenerationOptions& options, const UnmaskingOptions& how,
             const Trained& trained) {
  const Session& session = trained.session;
  std::vector<GapText> texts;
  for (const std::string& prompt : request.prompts) {
    texts.push_back(read_gaps(prompt, options.tokens,
                              frame_of(trained.experiment, *session.tokenizer),
                              *session.tokenizer));
  }
  const std::vector<FilledText> all = fill_gaps(
      *session.model, session.parameters, *session.tokenizer, texts, options, how, request.seed);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!request.json) {
      std::printf("%s\n%s", all[i].text.c_str(), all.size() > 1 ? "---\n" : "");
      continue;
    }
    Json line = {{"prompt", request.prompts[i]},
                 {"text", all[i].text},
                 {"reason", "filled"},
                 {"tokens", all[i].filled.size()}};
    for (const FilledPlace& one : all[i].filled) {
      if (!request.probabilities) break;
      Json token = token_json(one.token, one.log_probability, one.sampled_log_probability,
                              *session.tokenizer);
      token["place"] = one.place;
      token["round"] = one.round;
      line["log_probabilities"].push_back(token);
    }
    print_line(line);
  }
}

UnmaskingOptions filling_of(const Arguments& arguments) {
  const Origin origin{.file = "command line"};
  Config config = Config::table({}, origin).rooted("");
  if (arguments.has("order")) {
    config = config.with("order", Config::text(arguments.text("order"), origin));
  }
  if (arguments.has("rounds")) {
    config = config.with("rounds",
                         Config::integer(arguments.options["rounds"].as<std::int64_t>(), origin));
  }
  demand(config, schema_of<UnmaskingOptions>(), "lathe generate");
  return UnmaskingOptions(config);
}

// Options that say nothing to this kind of model.
void refuse(const Arguments& arguments, std::initializer_list<const char*> names,
            const char* reason) {
  for (const char* name : names) {
    if (arguments.has(name) && !arguments.options[name].defaulted()) {
      throw UsageError(cat("--", name, " is for a model that ", reason));
    }
  }
}

void demand_at_least(const char* name, std::int64_t value, std::int64_t least) {
  if (value >= least) return;
  throw UsageError(cat("--", name, " is ", value, ", allowed: at least ", least));
}

int generate(const Arguments& arguments, Registry& registry) {
  const int samples = arguments.options["samples"].as<int>();
  const std::int64_t seed = arguments.options["seed"].as<std::int64_t>();
  demand_at_least("samples", samples, 1);
  demand_at_least("seed", seed, 0);
  const Trained trained(trained_request(arguments), registry);
  const Request request{.prompts = repeated(prompts_of(arguments), samples),
                        .seed = static_cast<std::uint64_t>(seed),
                        .json = arguments.has("json"),
                        .probabilities = arguments.has("log-probabilities")};
  if (trained.session.model->causal()) {
    refuse(arguments, {"order", "rounds"}, "sees both sides and fills in gaps; this one goes on");
    go_on(request, options_of(arguments, 128), trained.session);
  } else {
    refuse(arguments, {"stop", "overflow"}, "writes from left to right; this one fills in gaps");
    fill_in(request, options_of(arguments, 16), filling_of(arguments), trained);
  }
  return exit_done;
}
}  // namespace

const Verb generate_verb{"generate", "RUN \"prompt\" ...", "write text with a trained model",
                         declare, generate};

}  // namespace lathe
