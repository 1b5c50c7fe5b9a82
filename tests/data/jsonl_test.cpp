#include <gtest/gtest.h>
#include <lathe/data/jsonl.h>

#include "base/temporary_folder.h"

namespace lathe {

namespace {

using testing::error_of;

std::string error_in(std::string_view content, const JsonlColumns& columns = {}) {
  return error_of([&] { parse_jsonl(content, "rows.jsonl", columns); });
}

TEST(Jsonl, ReadsTexts) {
  const JsonlRows read =
      parse_jsonl("{\"text\": \"one\"}\n\n \t\r\n{\"text\": \"two\", \"id\": 3}", "rows.jsonl");
  EXPECT_EQ(read.shape, RowShape::text);
  ASSERT_EQ(read.rows.size(), 2u);
  EXPECT_EQ(read.rows[0].text, "one");
  EXPECT_EQ(read.rows[0].line, 1u);
  EXPECT_EQ(read.rows[1].text, "two");
  EXPECT_EQ(read.rows[1].line, 4u);
}

TEST(Jsonl, ReadsPairsWithAnswers) {
  const JsonlRows read = parse_jsonl(
      "{\"prompt\":\"1+1=\",\"completion\":\"2\",\"answer\":2}\n"
      "{\"prompt\":\"2+2=\",\"completion\":\"4\",\"answer\":\"four\"}\n",
      "rows.jsonl");
  EXPECT_EQ(read.shape, RowShape::pair);
  EXPECT_EQ(read.rows[0].prompt, "1+1=");
  EXPECT_EQ(read.rows[0].completion, "2");
  EXPECT_EQ(read.rows[0].answer, "2");
  EXPECT_EQ(read.rows[1].answer, "four");
}

TEST(Jsonl, ReadsOtherColumnsAndPromptsAlone) {
  JsonlColumns columns;
  columns.prompt = "question";
  columns.completion = "answer";
  const std::string_view content = "{\"question\":\"why\",\"answer\":\"so\"}\n";
  EXPECT_EQ(parse_jsonl(content, "rows.jsonl", columns).rows[0].completion, "so");
  columns.completion = "";
  const JsonlRows read = parse_jsonl(content, "rows.jsonl", columns);
  EXPECT_EQ(read.shape, RowShape::prompt);
  EXPECT_EQ(read.rows[0].prompt, "why");
  EXPECT_EQ(read.rows[0].answer, "so");
}

TEST(Jsonl, ReadsMessages) {
  const JsonlRows read = parse_jsonl(
      R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}]})",
      "rows.jsonl");
  EXPECT_EQ(read.shape, RowShape::messages);
  ASSERT_EQ(read.rows[0].messages.size(), 2u);
  EXPECT_EQ(read.rows[0].messages[1].role, "assistant");
  EXPECT_EQ(read.rows[0].messages[1].content, "yes");
}

TEST(Jsonl, CutsAtLineFeedsAlone) {
  // U+0085 and U+2028 end a line for some readers.
  const JsonlRows read = parse_jsonl(
      "{\"text\": \"a\xC2\x85"
      "b\xE2\x80\xA8"
      "c\"}\n",
      "rows.jsonl");
  ASSERT_EQ(read.rows.size(), 1u);
  EXPECT_EQ(read.rows[0].text,
            "a\xC2\x85"
            "b\xE2\x80\xA8"
            "c");
}

TEST(Jsonl, NamesThePlaceOfBrokenJson) {
  const std::string error = error_in("{\"text\": \"a\"}\n{\"text\": \"b\"\n");
  EXPECT_TRUE(error.starts_with("rows.jsonl:2:")) << error;
}

TEST(Jsonl, NamesKeyAndExpectation) {
  EXPECT_EQ(error_in("{\"text\": 3}\n"),
            "rows.jsonl:1: key 'text': expected a string, found number");
  EXPECT_EQ(error_in("\n[1]\n"), "rows.jsonl:2: expected an object, found array");
  EXPECT_EQ(error_in("{\"prompt\": \"a\"}\n"), "rows.jsonl:1: the key 'completion' is missing");
  EXPECT_EQ(error_in("{\"question\": \"a\"}\n"),
            "rows.jsonl:1: expected 'text', 'prompt' with 'completion', or 'messages'; the keys "
            "are: question. The options of the dataset can name other columns");
  EXPECT_EQ(error_in("{\"text\": \"a\", \"answer\": [1]}\n"),
            "rows.jsonl:1: key 'answer': expected a string or a number, found array");
  EXPECT_EQ(error_in("{\"text\": \"a\", \"messages\": []}\n"),
            "rows.jsonl:1: both text and messages are here: leave one of them out");
  EXPECT_EQ(error_in("\n"), "rows.jsonl: no rows: expected one JSON object a line");
}

TEST(Jsonl, ChecksMessages) {
  EXPECT_EQ(error_in(R"({"messages": "hi"})"),
            "rows.jsonl:1: key 'messages': expected a list of messages, found string");
  EXPECT_EQ(error_in(R"({"messages": []})"), "rows.jsonl:1: key 'messages': the list is empty");
  EXPECT_EQ(error_in(R"({"messages": [{"role": "user"}]})"),
            "rows.jsonl:1: key 'messages[0]': 'content' is missing");
  EXPECT_EQ(error_in(R"({"messages": [{"role": "user", "content": null}]})"),
            "rows.jsonl:1: key 'messages[0].content': expected a string, found null");
  EXPECT_EQ(error_in(R"({"messages": [{"role": "bot", "content": "a"}]})"),
            "rows.jsonl:1: key 'messages[0].role': expected system, user or assistant, found "
            "'bot'");
}

TEST(Jsonl, RefusesMixedRows) {
  EXPECT_EQ(error_in("\n{\"text\": \"a\"}\n{\"prompt\": \"a\", \"completion\": \"b\"}\n"),
            "rows.jsonl:3: this row is prompt + completion, but the first one (line 2) is text: "
            "rows of several shapes belong in several files");
}

TEST(Jsonl, CapsTheLine) {
  EXPECT_EQ(error_of([] { parse_jsonl("{\"text\": \"a\"}\n", "rows.jsonl", {}, 12); }),
            "rows.jsonl:1: the line has 13 bytes, more than 12: is this JSON Lines, one object a "
            "line?");
  EXPECT_EQ(parse_jsonl("{\"text\": \"a\"}\n", "rows.jsonl", {}, 13).rows.size(), 1u);
}

}  // namespace

}  // namespace lathe
