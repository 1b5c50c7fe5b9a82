#include <lathe/run/start.h>

#include <lathe/base/hash.h>
#include <lathe/data/dataset.h>
#include <lathe/run/state_files.h>

#include <memory>
#include <optional>

namespace lathe {
namespace {
constexpr std::string_view start_key = "train.start";
constexpr std::size_t most_text = 4'000'000;  // bytes to learn a vocabulary from in a check

// Where the run or checkpoint keeps its tokenizer.
std::optional<std::filesystem::path> tokenizer_folder(const std::filesystem::path& start) {
  for (const auto& folder : {start, start.parent_path().parent_path()}) {  // RUN/checkpoints/STEP
    if (std::filesystem::exists(folder / "tokenizer.json")) return folder;
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> known_start(const Experiment& experiment,
                                                 const std::filesystem::path& work_folder) {
  const auto start = experiment.config().find(start_key);
  if (!start || start->as<std::string>().empty()) return std::nullopt;
  return tokenizer_folder(work_folder / start->as<std::string>());
}

// As the run makes it; none where that takes long, or what is not here.
std::unique_ptr<Tokenizer> tokenizer_of(const Experiment& experiment, Registry& registry,
                                        const std::filesystem::path& work_folder) {
  if (!experiment.uses("data")) return nullptr;
  try {
    auto tokenizer = registry.create<Tokenizer>(experiment.plugin_of("tokenizer"),
                                                experiment.table("tokenizer"));
    if (!tokenizer->needs_training()) return tokenizer;
    const auto dataset =
        registry.create<Dataset>(experiment.plugin_of("data"), experiment.table("data"));
    dataset->read({.tokenizer = nullptr, .folder = work_folder, .seed = experiment.seed()});
    const auto texts = dataset->texts();
    std::size_t size = 0;
    for (const std::string_view text : texts) size += text.size();
    if (size > most_text) return nullptr;
    tokenizer->train(texts);
    return tokenizer;
  } catch (const Error&) {  // the run says it, where the data are
    return nullptr;
  }
}
}  // namespace

StartWeights start_weights(const std::string& path) {
  const std::string checkpoint = checkpoint_of(path, true);
  return {std::filesystem::absolute(checkpoint).lexically_normal().string(),
          sha256_of_file(weights_file(checkpoint))};
}

std::string checkpoint_with(const StartWeights& noted, const std::filesystem::path& path) {
  const std::filesystem::path moved =
      path / "checkpoints" / std::filesystem::path(noted.checkpoint).filename();
  std::string found;
  const auto holds = [&](const std::string& checkpoint) {
    const std::string file = weights_file(checkpoint);
    const std::string hash = exists(file) ? sha256_of_file(file) : "";
    found += cat("\n  ", file, hash.empty() ? " is not there" : " has " + hash);
    return hash == noted.sha256;
  };
  if (holds(noted.checkpoint)) return noted.checkpoint;
  if (holds(moved.string())) return moved.string();
  try {
    const std::string best = checkpoint_of(path.string(), true);
    if (holds(best)) return best;
  } catch (const Error& error) {
    found += cat("\n  ", error.what());
  }
  fail(
      "the weights that this run began with (train.start), of the SHA-256 ", noted.sha256,
      ", are no longer there, and its objective compares with them; put them back, or begin a new ",
      "run", found);
}

void demand_same_tokens(const Experiment& experiment, const Tokenizer& tokenizer,
                        const std::filesystem::path& work_folder) {
  const auto folder = known_start(experiment, work_folder);
  if (!folder) return;
  const std::string place = experiment.config().at(start_key).where();
  constexpr std::string_view remedy =
      ". Begin with a run on the same vocabulary, or give this one the tokenizer of that run";
  const std::unique_ptr<Tokenizer> other = load_tokenizer(*folder);
  if (other->size() != tokenizer.size()) {
    fail(place, ": train.start: ", folder->string(), " has a vocabulary of ", other->size(),
         " tokens, this run one of ", tokenizer.size(), remedy);
  }
  const auto count = static_cast<std::int32_t>(tokenizer.size());
  for (std::int32_t id = 0; id < count; ++id) {
    if (other->token(id) == tokenizer.token(id)) continue;
    fail(place, ": train.start: token ", id, " is '", other->token(id), "' in ", folder->string(),
         " and '", tokenizer.token(id), "' in this run", remedy);
  }
}

void demand_same_tokens(const Stages& stages, Registry& registry,
                        const std::filesystem::path& work_folder) {
  for (const Stage& stage : stages.all) {
    if (!known_start(stage.experiment, work_folder)) continue;
    const auto tokenizer = tokenizer_of(stage.experiment, registry, work_folder);
    if (tokenizer) demand_same_tokens(stage.experiment, *tokenizer, work_folder);
  }
}

}  // namespace lathe
