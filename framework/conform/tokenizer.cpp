// What a tokenizer promises.
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/text/tokenizer.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace lathe::conform {
namespace {
using Ids = std::vector<std::int32_t>;

// What the tokenizer learns from where it must: English, digits, markup, and characters of all
// lengths.
const std::vector<std::string>& documents() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> texts = {
        "The quick brown fox jumps over the lazy dog. THE DOG, it's said, didn't mind.\n",
        "12+34=46\t7*8=56 \r\n  indented,   with    spaces\n\n\nand empty lines\n",
        "User: <b>bold</b> {\"key\": [1, 2.5e-3]}\nAssistant: caf\xc3\xa9 na\xc3\xafve"};
    for (int i = 0; i < 20; ++i) texts.push_back(texts[0] + texts[1]);
    texts.push_back(random_text(RandomStream(5, "conform/documents"), 200));
    return texts;
  }();
  return all;
}

std::unique_ptr<Tokenizer> learnt(const Trial& trial, const Config& options) {
  auto tokenizer = trial.make<Tokenizer>(options);
  const std::vector<std::string_view> views(documents().begin(), documents().end());
  if (tokenizer->needs_training()) {
    trial.phase("learning a vocabulary");
    tokenizer->train(views);
  }
  return tokenizer;
}

// A tokenizer that changes case or spaces on purpose says so, and then only a second trip must
// change nothing.
bool changes_text(const Trial& trial) {
  const auto provided = trial.descriptor().provides;
  return std::any_of(provided.begin(), provided.end(),
                     [](std::string_view word) { return word == "normalised text"; });
}

std::string shown(std::string_view text) {
  return cat("a text of ", text.size(), " bytes, \"", text.substr(0, 60), "\"");
}

void trip(const Trial& trial, const Tokenizer& tokenizer, std::string_view text) {
  const Ids ids = tokenizer.encode(text);
  for (const std::int32_t id : ids) {
    if (!trial.expect(id >= 0 && id < tokenizer.size(), "gave the id ", id, " of a vocabulary of ",
                      tokenizer.size(), " for ", shown(text))) {
      return;
    }
  }
  const std::string back = tokenizer.decode(ids);
  if (changes_text(trial)) {
    trial.expect(tokenizer.encode(back) == ids, "what it decodes to encodes otherwise, for ",
                 shown(text));
  } else {
    trial.expect(back == text, "encode and decode made ", shown(back), " of ", shown(text));
  }
}

std::string exercise(Trial& trial, const Config& options) {
  const auto tokenizer = learnt(trial, options);
  Digest digest;
  digest.add(tokenizer->size());
  for (const std::string& text : documents()) digest.add(tokenizer->encode(text));
  for (std::int32_t id = 0; id < tokenizer->size(); ++id) digest.add(tokenizer->token(id));
  return digest.hex();
}

void round_trip(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  trial.expect(tokenizer->size() > 0, "its vocabulary has ", tokenizer->size(), " entries");
  for (const std::string& text : documents()) trip(trial, *tokenizer, text);
  trip(trial, *tokenizer, "");
}

// Characters that the vocabulary lacks are an Error, never another text.
void random_trip(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  const std::string text = random_text(trial.random("text"), 200);
  trial.phase("encoding ", shown(text));
  try {
    trip(trial, *tokenizer, text);
  } catch (const Error& error) {
    trial.expect(error.what()[0] != '\0', "refused a text without a word");
  }
}

bool refused(const std::function<void()>& call) {
  try {
    call();
    return false;
  } catch (const Error&) {
    return true;
  }
}

void bad_input(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  for (const char* bytes : {"\xff", "\xc3", "a\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80"}) {
    trial.expect(refused([&] { tokenizer->encode(bytes); }),
                 "encoded bytes that are not UTF-8 without an Error");
  }
  for (const std::int64_t id : {std::int64_t{-1}, tokenizer->size()}) {
    const Ids outside = {static_cast<std::int32_t>(id)};
    trial.expect(refused([&] { tokenizer->decode(outside); }), "decoded the id ", id,
                 " of a vocabulary of ", tokenizer->size(), " without an Error");
  }
}

// Whoever writes "<|endoftext|>" into a prompt must not end the text.
void specials(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  bool any = false;
  for (const std::int32_t id :
       {tokenizer->end_id(), tokenizer->pad_id(), tokenizer->begin_id(), tokenizer->mask_id()}) {
    if (id == -1) continue;
    any = true;
    if (!trial.expect(id >= 0 && id < tokenizer->size(), "a special id is ", id, " of ",
                      tokenizer->size())) {
      continue;
    }
    trial.expect(tokenizer->is_special(id), "its special id ", id, " is not is_special");
    const std::string literal(tokenizer->token(id));
    if (literal.empty()) continue;
    try {
      const Ids ids = tokenizer->encode(literal);
      trial.expect(std::find(ids.begin(), ids.end(), id) == ids.end(), "the text ", literal,
                   " became the special token ", id);
    } catch (const Error&) {  // a vocabulary of characters may lack some
    }
    trial.expect(tokenizer->special_id(literal) == id, "special_id(", literal, ") is ",
                 tokenizer->special_id(literal), ", expected ", id);
    trial.expect(tokenizer->encode(literal, Special::as_id) == Ids{id}, literal,
                 " read as an id is not ", id);
  }
  if (!any) trial.skip("it has no special tokens");
}

void parallel(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  std::string large;
  while (large.size() < 300'000) {
    for (const std::string& text : documents()) large += text;
  }
  trial.expect(tokenizer->encode_parallel(large) == tokenizer->encode(large),
               "encode_parallel gives other ids than encode");
}

void saved(Trial& trial) {
  const auto tokenizer = learnt(trial, trial.options());
  const Folder folder;
  trial.phase("saving");
  tokenizer->save(folder.path());
  trial.phase("loading what was saved");
  const auto again = load_tokenizer(folder.path());
  trial.expect(again->size() == tokenizer->size(), "saved ", tokenizer->size(),
               " entries and read back ", again->size());
  trial.expect(again->end_id() == tokenizer->end_id() && again->pad_id() == tokenizer->pad_id() &&
                   again->mask_id() == tokenizer->mask_id(),
               "the special ids differ after saving and loading");
  for (const std::string& text : documents()) {
    const Ids ids = tokenizer->encode(text);
    trial.expect(again->encode(text) == ids, "after saving and loading other ids for ",
                 shown(text));
    trial.expect(again->decode(ids) == tokenizer->decode(ids),
                 "after saving and loading another text for ", shown(text));
  }
}
}  // namespace

Suite tokenizer_suite() {
  const Config yes = Config::boolean(true);
  return {
      .kind = "tokenizer",
      .fitting =
          Config().with("train", yes).with("specials", yes).with("size", Config::integer(300)),
      .exercise = exercise,
      .tests = {{"round_trip", 1, "text becomes ids in range and the same text again", round_trip},
                {"bad_input", 1, "broken UTF-8 and ids outside are Errors", bad_input},
                {"specials", 2, "special tokens come from as_id alone", specials},
                {"saved", 2, "it is the same after saving and loading", saved},
                {"parallel", 3, "encode_parallel equals encode", parallel},
                {"random_trip", 3, "random UTF-8 comes back, or is refused", random_trip,
                 [](int level) { return 5 << (level - 3); }}}};
}

}  // namespace lathe::conform
