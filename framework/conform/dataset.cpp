// What a dataset promises.
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/text/bytes.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

namespace lathe::conform {
namespace {
constexpr Split splits[] = {Split::train, Split::validation};

// A dataset that was read, with a tokenizer that takes every text.
struct Opened {
  BytesTokenizer tokenizer;
  std::unique_ptr<Dataset> dataset;

  Opened(const Trial& trial, const Config& options, std::uint64_t seed = 7) {
    dataset = trial.make<Dataset>(options);
    DataContext context{
        .tokenizer = nullptr, .folder = std::filesystem::current_path(), .seed = seed};
    trial.phase("reading");
    dataset->read(context);
    trial.phase("asking for its texts");
    texts = dataset->texts().size();
    context.tokenizer = &tokenizer;
    trial.phase("making tokens");
    dataset->tokenise(context);
    trial.phase("asking for examples");
  }

  std::size_t texts = 0;
};

// The first, the last, and some between.
std::vector<std::int64_t> places(const Trial& trial, std::int64_t size) {
  std::set<std::int64_t> some;
  const std::int64_t wanted = std::min<std::int64_t>(size, 20 * trial.level());
  for (std::int64_t i = 0; i < wanted; ++i) {
    some.insert(static_cast<std::int64_t>(trial.random("places").below(
        static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(i))));
  }
  if (size > 0) some.insert({0, size - 1});
  return {some.begin(), some.end()};
}

Digest& add(Digest& digest, const Example& example) {
  digest.add(example.tokens).add(example.weights).add(example.prompt).add(example.answer);
  for (const auto& [name, value] : example.columns) digest.add(name).add(value);
  return digest;
}

std::string digest_of(const Example& example) {
  Digest digest;
  return add(digest, example).hex();
}

std::string exercise(Trial& trial, const Config& options) {
  const Opened opened(trial, options);
  Digest digest;
  for (const Split split : splits) {
    const std::int64_t size = opened.dataset->size(split);
    digest.add(size);
    for (const std::int64_t i : places(trial, size)) {
      add(digest, opened.dataset->example(split, i));
    }
    const auto stream = opened.dataset->stream(split);
    digest.add(std::vector<std::int32_t>(stream.begin(), stream.end()));
  }
  return digest.hex();
}

// Whether all is well with the example: tokens of the vocabulary, weights beside them.
bool sane(const Trial& trial, const Example& example, std::int64_t vocabulary,
          const std::string& where) {
  const bool in_range =
      std::all_of(example.tokens.begin(), example.tokens.end(),
                  [&](std::int32_t token) { return token >= 0 && token < vocabulary; });
  const bool weighed =
      std::all_of(example.weights.begin(), example.weights.end(),
                  [](float weight) { return std::isfinite(weight) && weight >= 0; });
  const auto length = static_cast<std::int64_t>(example.tokens.size());
  return trial.expect(length > 0, where, " has no tokens") &&
         trial.expect(in_range, where, " has a token outside the vocabulary of ", vocabulary) &&
         trial.expect(example.weights.size() == example.tokens.size(), where, " has ",
                      example.weights.size(), " weights for ", length, " tokens") &&
         trial.expect(weighed, where, " has a weight that is negative or not finite") &&
         trial.expect(example.prompt >= 0 && example.prompt <= length, where, " has a prompt of ",
                      example.prompt, " of its ", length, " tokens");
}

void examples(Trial& trial) {
  const Opened opened(trial, trial.options());
  const std::int64_t vocabulary = opened.tokenizer.size();
  std::int64_t all = 0;
  bool counts = false;
  for (const Split split : splits) {
    const std::int64_t size = opened.dataset->size(split);
    if (!trial.expect(size >= 0, "its ", name_of(split), " split has the size ", size)) return;
    for (const std::int64_t i : places(trial, size)) {
      const Example example = opened.dataset->example(split, i);
      if (!sane(trial, example, vocabulary, cat(name_of(split), " example ", i))) return;
      counts = counts || std::any_of(example.weights.begin(), example.weights.end(),
                                     [](float weight) { return weight > 0; });
    }
    const auto stream = opened.dataset->stream(split);
    trial.expect(std::all_of(stream.begin(), stream.end(),
                             [&](std::int32_t token) { return token >= 0 && token < vocabulary; }),
                 "its running text has a token outside the vocabulary");
    all += size + static_cast<std::int64_t>(stream.size());
    counts = counts || !stream.empty();
  }
  trial.expect(all > 0, "it has neither examples nor a running text");
  if (!counts) trial.warn("every weight is 0: nothing can be learnt from it, only generated");
}

void pure(Trial& trial) {
  const Opened one(trial, trial.options()), other(trial, trial.options());
  for (const Split split : splits) {
    std::vector<std::int64_t> order = places(trial, one.dataset->size(split));
    std::vector<std::string> first;
    for (const std::int64_t i : order) first.push_back(digest_of(one.dataset->example(split, i)));
    for (std::size_t k = order.size(); k-- > 0;) {
      trial.expect(digest_of(one.dataset->example(split, order[k])) == first[k], name_of(split),
                   " example ", order[k], " is another one when it is asked for again");
      trial.expect(digest_of(other.dataset->example(split, order[k])) == first[k], name_of(split),
                   " example ", order[k], " is another one in a second instance");
    }
  }
}

void outside(Trial& trial) {
  const Opened opened(trial, trial.options());
  for (const Split split : splits) {
    const std::int64_t size = opened.dataset->size(split);
    for (const std::int64_t i : {std::int64_t{-1}, size}) {
      trial.phase("asking for ", name_of(split), " example ", i, " of ", size);
      try {
        opened.dataset->example(split, i);
        trial.fault("gave ", name_of(split), " example ", i, " of ", size);
      } catch (const Error&) {
      }
    }
  }
}

// What is in both splits is not held out.
void held_out(Trial& trial) {
  const Opened opened(trial, trial.options());
  const std::int64_t training = opened.dataset->size(Split::train);
  const std::int64_t validation = opened.dataset->size(Split::validation);
  if (training == 0 || validation == 0) trial.skip("it does not have examples in both splits");
  std::set<std::vector<std::int32_t>> known;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(training, 20000); ++i) {
    known.insert(opened.dataset->example(Split::train, i).tokens);
  }
  const std::int64_t looked_at = std::min<std::int64_t>(validation, 2000);
  std::int64_t shared = 0;
  for (std::int64_t i = 0; i < looked_at; ++i) {
    shared += known.contains(opened.dataset->example(Split::validation, i).tokens) ? 1 : 0;
  }
  if (shared > 0) {
    trial.warn(shared, " of ", looked_at, " validation examples are training examples as well");
  }
}

// The pair of a preference: one prompt, two responses.
void pairs(Trial& trial) {
  const Opened opened(trial, trial.options());
  std::int64_t seen = 0;
  for (const std::int64_t i : places(trial, opened.dataset->size(Split::train))) {
    Example other;
    try {
      other = opened.dataset->rejected(Split::train, i);
    } catch (const Error&) {
      continue;
    }
    ++seen;
    const Example liked = opened.dataset->example(Split::train, i);
    if (!sane(trial, other, opened.tokenizer.size(), cat("rejected example ", i))) return;
    const auto prompt = static_cast<std::ptrdiff_t>(liked.prompt);
    trial.expect(
        liked.prompt == other.prompt &&
            std::equal(liked.tokens.begin(), liked.tokens.begin() + prompt, other.tokens.begin()),
        "the two responses of example ", i, " have different prompts");
  }
  if (seen == 0) trial.skip("it is no preference data");
}

void files(Trial& trial) {
  const Opened opened(trial, trial.options());
  const std::vector<DataFile> all = opened.dataset->files();
  if (all.empty()) trial.skip("it reads no files");
  for (const DataFile& file : all) {
    const std::string path = file.path.string();
    trial.expect(std::filesystem::file_size(file.path) == file.bytes, path, " has ",
                 std::filesystem::file_size(file.path), " bytes, it says ", file.bytes);
    trial.expect(sha256_of_file(path) == file.sha256, path, " has another SHA-256 than it says");
  }
}
}  // namespace

Suite dataset_suite() {
  return {.kind = "dataset",
          .fitting = {},
          .exercise = exercise,
          .tests = {{"examples", 1, "tokens are of the vocabulary, weights beside them", examples},
                    {"pure", 2, "an example depends on split and index alone", pure},
                    {"files", 2, "the files it names are the ones it read", files},
                    {"outside", 3, "an index outside is an Error", outside},
                    {"pairs", 3, "preferred and rejected responses share their prompt", pairs},
                    {"held_out", 4, "what is held out is not in training", held_out}}};
}

}  // namespace lathe::conform
