#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/json.h>

#include "temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;

TEST(ParseJson, ReadsEveryKindOfValue) {
  const std::string text =
      R"({"a": [1, -2, 2.5, true, false, null, "x\u00e9", [], {}], "b": {"a": 18446744073709551615}})";
  EXPECT_EQ(parse_json(text, "t"), Json::parse(text));
  EXPECT_EQ(parse_json("3", "t"), 3);
  EXPECT_TRUE(parse_json("7", "t").is_number_unsigned());
  EXPECT_EQ(parse_json(" [1, [2, [3]], {\"k\": [4]}] ", "t").dump(), R"([1,[2,[3]],{"k":[4]}])");
}

TEST(ParseJson, RefusesDuplicateKeysWithTheirPlace) {
  EXPECT_EQ(error_of([] { parse_json("{\"a\": 1,\n \"a\": 2}", "x.json"); }).substr(0, 11),
            "x.json:2:5:");
  EXPECT_NE(error_of([] { parse_json("{\"a\": 1, \"a\": 2}", "x"); }).find("duplicate key \"a\""),
            std::string::npos);
  EXPECT_THROW(parse_json(R"({"a": {"b": 1, "\u0062": 2}})", "x"), Error);
  EXPECT_NO_THROW(parse_json(R"([{"a": 1}, {"a": {"a": 2}}])", "x"));
}

TEST(ParseJson, LimitsDepth) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_NO_THROW(parse_json(nested(128), "x"));
  EXPECT_NE(error_of([&] { parse_json(nested(129), "x"); }).find("nested deeper than 128 levels"),
            std::string::npos);
  EXPECT_THROW(parse_json(nested(100000), "x"), Error);
  EXPECT_THROW(parse_json(nested(3), "x", 2), Error);
}

TEST(ParseJson, SyntaxErrorsCarryLineAndColumn) {
  EXPECT_EQ(error_of([] { parse_json("{\n  \"a\": ?\n}", "c.json"); }).substr(0, 13),
            "c.json:2:8: s");
  EXPECT_EQ(error_of([] { parse_json_line("[1,]", "d.jsonl", 7); }).substr(0, 12), "d.jsonl:7:4:");
  for (const std::string bad :
       {"", " ", "{", "[1", "1 2", "nul", "{\"a\"}", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"",
        "\"a\nb\"", "01", "1e999", "NaN", "{a:1}", "\"\\ud800\"", "[1,]", "// c\n1", "{}x"}) {
    EXPECT_THROW(parse_json(bad, "x"), Error) << bad;
  }
  EXPECT_THROW(parse_json(std::string_view("{}\0", 3), "x"), Error);
}

TEST(ReadJson, NamesTheFile) {
  const testing::TemporaryFolder folder;
  write_durably(folder / "a.json", "[1,2}");
  EXPECT_EQ(error_of([&] { read_json(folder / "a.json"); }).find((folder / "a.json") + ":1:5: "),
            0u);
}

}  // namespace
}  // namespace lathe
