#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/data/jsonl.h>

#include <utility>

namespace lathe {

namespace {

// One line as an object, and the place that errors name.
class Line {
 public:
  Line(Json object, std::string_view name, std::uint64_t number)
      : object_(std::move(object)), name_(name), number_(number) {
    if (!object_.is_object()) fail(where(), "expected an object, found ", object_.type_name());
  }

  std::uint64_t number() const { return number_; }
  std::string where() const { return cat(name_, ":", number_, ": "); }
  bool has(const std::string& key) const { return !key.empty() && object_.contains(key); }

  const Json& at(const std::string& key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) fail(where(), "the key '", key, "' is missing");
    return *found;
  }
  std::string text(const std::string& key) const { return text_of(at(key), key); }
  std::string text_of(const Json& value, std::string_view key) const {
    if (!value.is_string()) {
      fail(where(), "key '", key, "': expected a string, found ", value.type_name());
    }
    return value.get<std::string>();
  }
  const Json& object() const { return object_; }
  std::string keys() const {
    std::string names;
    for (const auto& [key, value] : object_.items()) names += (names.empty() ? "" : ", ") + key;
    return names.empty() ? "none" : names;
  }

 private:
  Json object_;
  std::string_view name_;
  std::uint64_t number_;
};

RowShape shape_of(const Line& line, const JsonlColumns& columns) {
  const RowShape pair = columns.completion.empty() ? RowShape::prompt : RowShape::pair;
  std::vector<RowShape> found;
  if (line.has(columns.text)) found.push_back(RowShape::text);
  if (line.has(columns.prompt)) found.push_back(pair);
  if (line.has(columns.messages)) found.push_back(RowShape::messages);
  if (found.size() == 1) return found[0];
  if (found.size() > 1) {
    fail(line.where(), "both ", name_of(found[0]), " and ", name_of(found[1]),
         " are here: leave one of them out");
  }
  fail(line.where(), "expected '", columns.text, "', '", columns.prompt, "' with '",
       columns.completion, "', or '", columns.messages, "'; the keys are: ", line.keys(),
       ". The options of the dataset can name other columns");
}

Message message_of(const Line& line, const Json& value, const std::string& place) {
  if (!value.is_object()) {
    fail(line.where(), "key '", place, "': expected an object, found ", value.type_name());
  }
  const auto member = [&](const char* key) {
    const auto found = value.find(key);
    if (found == value.end()) fail(line.where(), "key '", place, "': '", key, "' is missing");
    return line.text_of(*found, place + "." + key);
  };
  Message message{member("role"), member("content")};
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    fail(line.where(), "key '", place, ".role': expected system, user or assistant, found '",
         message.role, "'");
  }
  return message;
}

std::vector<Message> messages_of(const Line& line, const std::string& key) {
  const Json& list = line.at(key);
  if (!list.is_array()) {
    fail(line.where(), "key '", key, "': expected a list of messages, found ", list.type_name());
  }
  if (list.empty()) fail(line.where(), "key '", key, "': the list is empty");
  std::vector<Message> messages;
  for (std::size_t i = 0; i < list.size(); ++i) {
    messages.push_back(message_of(line, list[i], cat(key, "[", i, "]")));
  }
  return messages;
}

std::string answer_of(const Line& line, const std::string& key) {
  if (!line.has(key)) return "";
  const Json& value = line.at(key);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  fail(line.where(), "key '", key, "': expected a string or a number, found ", value.type_name());
}

std::vector<std::pair<std::string, std::string>> others_of(const Line& line,
                                                           const JsonlColumns& columns) {
  std::vector<std::pair<std::string, std::string>> others;
  for (const auto& [key, value] : line.object().items()) {
    const bool known = key == columns.text || key == columns.prompt || key == columns.completion ||
                       key == columns.messages || key == columns.answer;
    if (known) continue;
    if (value.is_string()) others.emplace_back(key, value.get<std::string>());
    if (value.is_number()) others.emplace_back(key, value.dump());
  }
  return others;
}

JsonlRow row_of(const Line& line, RowShape shape, const JsonlColumns& columns) {
  JsonlRow row;
  row.line = line.number();
  if (shape == RowShape::text) row.text = line.text(columns.text);
  if (shape == RowShape::pair || shape == RowShape::prompt) row.prompt = line.text(columns.prompt);
  if (shape == RowShape::pair) row.completion = line.text(columns.completion);
  if (shape == RowShape::messages) row.messages = messages_of(line, columns.messages);
  row.answer = answer_of(line, columns.answer);
  row.columns = others_of(line, columns);
  return row;
}

}  // namespace

std::string_view name_of(RowShape shape) {
  switch (shape) {
    case RowShape::text:
      return "text";
    case RowShape::pair:
      return "prompt + completion";
    case RowShape::prompt:
      return "prompt";
    case RowShape::messages:
      return "messages";
  }
  return "";
}

JsonlRows parse_jsonl(std::string_view content, std::string_view name, const JsonlColumns& columns,
                      std::size_t longest_line) {
  JsonlRows read;
  std::uint64_t number = 0;
  while (!content.empty()) {
    ++number;
    const std::string_view text = content.substr(0, content.find('\n'));
    content.remove_prefix(text.size() == content.size() ? text.size() : text.size() + 1);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (text.size() > longest_line) {
      fail(name, ":", number, ": the line has ", text.size(), " bytes, more than ", longest_line,
           ": is this JSON Lines, one object a line?");
    }
    const Line line(parse_json_line(text, name, number), name, number);
    const RowShape shape = shape_of(line, columns);
    if (read.rows.empty()) read.shape = shape;
    if (shape != read.shape) {
      fail(line.where(), "this row is ", name_of(shape), ", but the first one (line ",
           read.rows[0].line, ") is ", name_of(read.shape),
           ": rows of several shapes belong in several files");
    }
    read.rows.push_back(row_of(line, shape, columns));
  }
  if (read.rows.empty()) fail(name, ": no rows: expected one JSON object a line");
  return read;
}

}  // namespace lathe
