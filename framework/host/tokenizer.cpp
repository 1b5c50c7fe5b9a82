// lathe tokenizer train|encode|decode: vocabularies without an experiment.
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/data/text_files.h>
#include <lathe/host/verb.h>
#include <lathe/text/bpe_train.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()("size", po::value<int>()->default_value(8192),
                        "entries of a new vocabulary")(
      "out", po::value<std::string>()->default_value("."), "folder for tokenizer.json");
}

// Ids may stand for bytes that are no UTF-8.
void print_line(const Json& line) {
  std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

int encode(const Arguments& arguments) {
  arguments.demand_at_most(3);
  const auto tokenizer = load_tokenizer(arguments.word(1, "tokenizer"));
  std::string text;
  if (arguments.words.size() > 2) {
    text = arguments.words[2];
  } else {
    text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  const std::vector<std::int32_t> ids = tokenizer->encode(text);
  if (arguments.has("json")) {
    print_line({{"ids", ids}});
    return exit_done;
  }
  for (const std::int32_t id : ids) std::printf("%d ", id);
  std::printf("\n");
  return exit_done;
}

std::int32_t id_of(const std::string& word, std::int64_t size) {
  std::int32_t id = -1;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 0 || id >= size) {
    fail("'", word, "' is not a token of this tokenizer: expected a number from 0 to ", size - 1);
  }
  return id;
}

int decode(const Arguments& arguments) {
  const auto tokenizer = load_tokenizer(arguments.word(1, "tokenizer"));
  std::vector<std::int32_t> ids;
  for (std::size_t i = 2; i < arguments.words.size(); ++i) {
    ids.push_back(id_of(arguments.words[i], tokenizer->size()));
  }
  const std::string text = tokenizer->decode(ids);
  if (arguments.has("json")) {
    print_line({{"text", text}});
  } else {
    std::fputs((text + "\n").c_str(), stdout);
  }
  return exit_done;
}

int train(const Arguments& arguments) {
  std::vector<TextFile> files;
  if (arguments.words.size() < 2) throw UsageError("no text was given to learn from");
  for (std::size_t i = 1; i < arguments.words.size(); ++i) {
    for (TextFile& file : read_text_files(arguments.words[i])) files.push_back(std::move(file));
  }
  std::vector<std::string_view> documents;
  for (const TextFile& file : files) documents.push_back(file.text);
  const BpeTokenizer tokenizer = train_bpe(documents, arguments.options["size"].as<int>());
  const std::string folder = arguments.text("out");
  make_folders(real_files(), folder);
  tokenizer.save(folder);
  log_info(tokenizer.size(), " entries from ", files.size(), " files");
  const std::string file = join(folder, "tokenizer.json");
  if (arguments.has("json")) {
    print_line({{"file", file}, {"entries", tokenizer.size()}, {"files", files.size()}});
  } else {
    std::printf("%s\n", file.c_str());
  }
  return exit_done;
}

int tokenizer(const Arguments& arguments, Registry&) {
  const std::string& action = arguments.word(0, "action (train, encode or decode)");
  if (action == "encode") return encode(arguments);
  if (action == "decode") return decode(arguments);
  if (action == "train") return train(arguments);
  throw UsageError(cat("there is no action '", action, "': train, encode or decode"));
}
}  // namespace

const Verb tokenizer_verb{"tokenizer", "train FILES | encode T TEXT | decode T IDS",
                          "make a vocabulary, or use one", declare, tokenizer};

}  // namespace lathe
