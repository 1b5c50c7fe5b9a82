// Byte-level BPE from tokenizer.json and to it. Three of its parts are not looked at, because they
// change no id of a text: truncation, padding and the post-processor (which adds special tokens).
#include <lathe/base/error.h>
#include <lathe/text/bpe_vocabulary.h>
#include <lathe/text/byte_alphabet.h>

namespace lathe {

namespace {

[[noreturn]] void unsupported(const JsonPlace& place, std::string_view expected) {
  fail(place.where(), ": ", place.value().dump(), " is not supported; expected ", expected);
}

void demand_absent(const JsonPlace& place, std::string_view key) {
  if (!place.has(key)) return;
  const JsonPlace value = place.at(key);
  const Json& json = value.value();
  const bool is_empty = (json.is_string() && json.get<std::string>().empty()) ||
                        (json.is_number() && json.get<double>() == 0.0) ||
                        (json.is_boolean() && !json.get<bool>());
  if (!is_empty) unsupported(value, "none");
}

void read_pre_tokenizer(const JsonPlace& place, BpeParts& parts, bool& is_byte_level) {
  if (is_byte_level) fail(place.where(), ": nothing may follow ByteLevel");
  const std::string type = place.at("type").text();
  if (type == "Sequence") {
    const JsonPlace list = place.at("pretokenizers");
    for (std::size_t i = 0; i < list.list_size(); ++i) {
      read_pre_tokenizer(list.at(i), parts, is_byte_level);
    }
  } else if (type == "ByteLevel") {
    is_byte_level = true;
    parts.add_prefix_space = place.boolean("add_prefix_space", true);
    if (parts.add_prefix_space && !parts.rules.empty()) {
      fail(place.where(), ".add_prefix_space = true is not supported after another pre-tokenizer");
    }
    if (place.boolean("use_regex", true)) parts.rules.push_back({std::string(gpt2_pattern)});
  } else if (type == "Digits") {
    const bool single = place.boolean("individual_digits", false);
    parts.rules.push_back({single ? "\\p{N}" : "\\p{N}+"});
  } else if (type == "Split") {
    SplitRule rule;
    const JsonPlace pattern = place.at("pattern");
    rule.is_literal = pattern.has("String");
    rule.pattern = pattern.at(rule.is_literal ? "String" : "Regex").text();
    const JsonPlace behavior = place.at("behavior");
    if (behavior.text() == "Removed") {
      rule.behavior = SplitRule::Behavior::removed;
    } else if (behavior.text() != "Isolated") {
      unsupported(behavior, "Isolated or Removed");
    }
    rule.invert = place.boolean("invert", false);
    parts.rules.push_back(std::move(rule));
  } else {
    unsupported(place.at("type"), "ByteLevel, Split, Digits or Sequence");
  }
}

void demand_byte_level_decoder(const JsonPlace& place) {
  const JsonPlace type = place.at("type");
  if (type.text() == "Sequence") {
    const JsonPlace list = place.at("decoders");
    for (std::size_t i = 0; i < list.list_size(); ++i) demand_byte_level_decoder(list.at(i));
  } else if (type.text() != "ByteLevel") {
    unsupported(type, "ByteLevel");
  }
}

void read_merges(const JsonPlace& list, const Vocabulary& vocabulary, BpeParts& parts) {
  const std::size_t count = list.list_size();
  parts.merges.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Json& item = list.value()[i];
    std::string left;
    std::string right;
    if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      left = item[0].get<std::string>();
      right = item[1].get<std::string>();
    } else if (item.is_string()) {
      const std::string both = item.get<std::string>();
      const std::size_t space = both.find(' ');
      if (space != both.npos && both.find(' ', space + 1) == both.npos) {
        left = both.substr(0, space);
        right = both.substr(space + 1);
      }
    }
    if (left.empty() || right.empty()) {
      fail(list.at(i).where(), ": expected a merge, \"a b\" or [\"a\", \"b\"], found ",
           item.dump());
    }
    parts.merges.push_back(resolve_merge(left, right, vocabulary, list.at(i).where()));
  }
}

Json pre_tokenizer_json(const BpeParts& parts, bool uses_gpt2_pattern) {
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", parts.add_prefix_space},
                           {"trim_offsets", true},
                           {"use_regex", uses_gpt2_pattern}};
  if (uses_gpt2_pattern || parts.rules.empty()) return byte_level;
  Json list = Json::array();
  for (const SplitRule& rule : parts.rules) {
    const bool removed = rule.behavior == SplitRule::Behavior::removed;
    list.push_back({{"type", "Split"},
                    {"pattern", {{rule.is_literal ? "String" : "Regex", rule.pattern}}},
                    {"behavior", removed ? "Removed" : "Isolated"},
                    {"invert", rule.invert}});
  }
  list.push_back(byte_level);
  return {{"type", "Sequence"}, {"pretokenizers", list}};
}

}  // namespace

BpeParts read_bpe_json(const Json& json, const std::filesystem::path& file) {
  const JsonPlace root(json, file.string());
  const JsonPlace version = root.at("version");
  if (version.text() != "1.0") unsupported(version, "\"1.0\"");
  if (root.has("normalizer")) unsupported(root.at("normalizer"), "null");
  const JsonPlace model = root.at("model");
  if (!model.has("type") || model.at("type").text() != "BPE") {
    fail(model.where(), ".type: expected \"BPE\"",
         model.has("type") ? ", found " + model.at("type").value().dump() : std::string());
  }
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
    demand_absent(model, key);
  }

  BpeParts parts;
  parts.rules.clear();
  bool is_byte_level = false;
  read_pre_tokenizer(root.at("pre_tokenizer"), parts, is_byte_level);
  if (!is_byte_level)
    fail(root.where(), ": pre_tokenizer holds no ByteLevel; only byte-level BPE is supported");
  demand_byte_level_decoder(root.at("decoder"));
  parts.ignore_merges = model.boolean("ignore_merges", false);
  parts.added = read_added_tokens(root);
  const Vocabulary vocabulary = read_vocabulary(model.at("vocab"), parts);
  read_merges(model.at("merges"), vocabulary, parts);
  if (model.has("unk_token")) demand_all_bytes(parts, model.at("unk_token").where());
  const SpecialIds ids = read_special_ids(file.parent_path(), &json, parts.added);
  parts.end = ids.end;
  parts.pad = ids.pad;
  parts.begin = ids.begin;
  parts.mask = ids.mask;
  return parts;
}

void write_bpe(const BpeParts& parts, const std::filesystem::path& folder,
               std::string_view made_by) {
  const Splitter splitter(parts.rules);
  std::vector<std::string> written(parts.tokens.size());
  for (std::size_t id = 0; id < parts.tokens.size(); ++id) {
    written[id] = bytes_to_alphabet(parts.tokens[id]);
  }
  for (const AddedToken& token : parts.added) {
    written[static_cast<std::size_t>(token.id)] = token.content;
  }
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < written.size(); ++id) {
    if (!written[id].empty()) vocabulary[written[id]] = id;
  }
  Json merges = Json::array();
  for (const Merge& merge : parts.merges) {
    merges.push_back(Json::array({written[static_cast<std::size_t>(merge.left)],
                                  written[static_cast<std::size_t>(merge.right)]}));
  }
  Json root;
  root["pre_tokenizer"] = pre_tokenizer_json(parts, splitter.is_gpt2());
  root["post_processor"] = nullptr;
  root["decoder"] = {{"type", "ByteLevel"},
                     {"add_prefix_space", true},
                     {"trim_offsets", true},
                     {"use_regex", true}};
  root["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", parts.ignore_merges},
                   {"vocab", std::move(vocabulary)},
                   {"merges", std::move(merges)}};
  write_tokenizer_files(folder, std::move(root), made_by, parts.added,
                        {parts.end, parts.pad, parts.begin, parts.mask});
}

}  // namespace lathe
