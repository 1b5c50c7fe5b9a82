#include <lathe/base/error.h>
#include <lathe/text/chat.h>

#include <algorithm>
#include <array>

namespace lathe {

namespace {

constexpr std::string_view assistant = "assistant";

// What stands around the content of a turn. `before_content` is learnt with an answer: the space
// that a BPE takes as part of its first word.
struct Turn {
  std::string header;
  std::string before_content;
  std::string end;              // the end marker, read with special tokens
  bool ends_in_end_id = false;  // the tokenizer's end token is the marker instead
  std::string after;
};

using Template = Turn (*)(const Tokenizer&, std::string_view role);

Turn plain_turn(const Tokenizer& tokenizer, std::string_view role) {
  std::string header(role);
  header[0] = static_cast<char>(header[0] - 'a' + 'A');
  header += ':';
  const bool has_end = role == assistant && tokenizer.end_id() >= 0;
  return {header, " ", has_end ? "" : "\n", has_end, ""};
}

Turn chatml_turn(const Tokenizer&, std::string_view role) {
  return {"<|im_start|>" + std::string(role) + "\n", "", "<|im_end|>", false, "\n"};
}

struct Named {
  std::string_view name;
  Template turn;
};
constexpr std::array<Named, 2> templates = {{{"chatml", chatml_turn}, {"plain", plain_turn}}};

Template template_of(std::string_view name) {
  std::string known;
  for (const Named& named : templates) {
    if (named.name == name) return named.turn;
    if (!known.empty()) known += ", ";
    known += named.name;
  }
  fail("unknown chat template '", name, "'; there are: ", known);
}

void demand_role(std::string_view role, std::size_t index) {
  for (const std::string_view known :
       {std::string_view("system"), std::string_view("user"), assistant}) {
    if (role == known) return;
  }
  fail("message ", index, " has the role '", role, "'; expected system, user or assistant");
}

void append(MarkedTokens& tokens, const std::vector<std::int32_t>& ids, bool is_response) {
  tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
  tokens.is_response.resize(tokens.ids.size(), is_response ? 1 : 0);
}

std::vector<std::int32_t> end_ids(const Tokenizer& tokenizer, const Turn& turn) {
  if (turn.ends_in_end_id) return {tokenizer.end_id()};
  return tokenizer.encode(turn.end, Special::as_id);
}

// How many tokens at the end of a joint tokenisation spell the completion; a token that reaches
// back over the seam counts.
std::size_t response_length(const Tokenizer& tokenizer, std::span<const std::int32_t> joint,
                            std::string_view completion) {
  std::size_t tokens = 0;
  std::string tail;
  while (tail.size() < completion.size() && tokens < joint.size()) {
    ++tokens;
    tail.insert(0, tokenizer.token(joint[joint.size() - tokens]));
  }
  if (!tail.ends_with(completion)) {
    fail("this tokenizer does not give back the text it encodes, so that the seam of prompt and ",
         "completion cannot be found; use seam = \"separate\"");
  }
  return tokens;
}

}  // namespace

std::vector<std::string> chat_template_names() {
  std::vector<std::string> names;
  for (const Named& named : templates) names.emplace_back(named.name);
  return names;
}

MarkedTokens encode_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                         std::string_view template_name, bool ask) {
  const Template turn_of = template_of(template_name);
  MarkedTokens tokens;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    demand_role(message.role, i);
    const Turn turn = turn_of(tokenizer, message.role);
    const bool is_answer = message.role == assistant;
    append(tokens, tokenizer.encode(turn.header, Special::as_id), false);
    append(tokens, tokenizer.encode(turn.before_content + message.content), is_answer);
    append(tokens, end_ids(tokenizer, turn), is_answer);
    append(tokens, tokenizer.encode(turn.after, Special::as_id), false);
  }
  if (ask)
    append(tokens, tokenizer.encode(turn_of(tokenizer, assistant).header, Special::as_id), false);
  return tokens;
}

std::vector<std::int32_t> end_of_answer(const Tokenizer& tokenizer,
                                        std::string_view template_name) {
  return end_ids(tokenizer, template_of(template_name)(tokenizer, assistant));
}

PairTokens encode_pair(const Tokenizer& tokenizer, std::string_view prompt,
                       std::string_view completion, Seam seam, bool append_end) {
  const std::vector<std::int32_t> joint =
      tokenizer.encode(std::string(prompt) + std::string(completion));
  std::vector<std::int32_t> first = tokenizer.encode(prompt);
  std::vector<std::int32_t> second = tokenizer.encode(completion);
  PairTokens tokens;
  tokens.is_clean = joint.size() == first.size() + second.size() &&
                    std::equal(first.begin(), first.end(), joint.begin()) &&
                    std::equal(second.begin(), second.end(),
                               joint.end() - static_cast<std::ptrdiff_t>(second.size()));
  if (seam == Seam::joint && !tokens.is_clean) {
    const auto cut =
        joint.end() - static_cast<std::ptrdiff_t>(response_length(tokenizer, joint, completion));
    first.assign(joint.begin(), cut);
    second.assign(cut, joint.end());
  }
  tokens.prompt_length = static_cast<std::int64_t>(first.size());
  append(tokens, first, false);
  append(tokens, second, true);
  if (append_end) {
    if (tokenizer.end_id() < 0) {
      fail(
          "the tokenizer has no end token, so that a model could never learn to stop; give it one ",
          "(specials = true for chars) or do without the end");
    }
    append(tokens, {tokenizer.end_id()}, true);
  }
  return tokens;
}

}  // namespace lathe
