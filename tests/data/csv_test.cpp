#include <gtest/gtest.h>
#include <lathe/data/csv.h>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using Texts = std::vector<std::string>;

TEST(Csv, FieldsAreWhatRfc4180Says) {
  const CsvTable table = parse_csv(
      "id,text,end\r\n"
      "1,\"a, b\",x\r\n"
      "\n"
      "2,\"said \"\"no\"\"\nand left\",\"\"\n"
      ",,\n"
      "3, plain ,last",
      "t.csv");
  EXPECT_EQ(table.columns, (Texts{"id", "text", "end"}));
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_EQ(table.rows[0].fields, (Texts{"1", "a, b", "x"}));
  EXPECT_EQ(table.rows[0].line, 2U);
  EXPECT_EQ(table.rows[1].fields, (Texts{"2", "said \"no\"\nand left", ""}));
  EXPECT_EQ(table.rows[1].line, 4U);
  EXPECT_EQ(table.rows[2].fields, (Texts{"", "", ""}));
  EXPECT_EQ(table.rows[2].line, 6U);
  EXPECT_EQ(table.rows[3].fields, (Texts{"3", " plain ", "last"}));
  EXPECT_EQ(table.column("end"), 2U);
}

TEST(Csv, FaultsAreNamedWithTheirLine) {
  EXPECT_EQ(error_of([] { parse_csv("", "t.csv"); }),
            "t.csv: expected a first row with the names of the columns");
  EXPECT_EQ(error_of([] { parse_csv("a,b\n1,2,3\n", "t.csv"); }),
            "t.csv:2: this row has 3 fields, the first one 2: a comma inside of a field needs "
            "quotes around it");
  EXPECT_EQ(error_of([] { parse_csv("a,b\n1,2\n3,\"open\n\n", "t.csv"); }),
            "t.csv:3: the quote that begins here is not closed");
  EXPECT_EQ(error_of([] { parse_csv("a\n\"x\"y\n", "t.csv"); }),
            "t.csv:2: expected a comma or the end of the line after the closing quote, found 'y'; "
            "a quote inside of a field is written twice");
  EXPECT_EQ(error_of([] { parse_csv("a\nx\"y\n", "t.csv"); }),
            "t.csv:2: a quote stands inside of the bare field 'x\"y': put the whole field in "
            "quotes and write the quote twice");
  EXPECT_EQ(error_of([] { parse_csv("a,b\n", "t.csv").column("c"); }),
            "t.csv:1: there is no column 'c'; the columns are: 'a', 'b'");
}

}  // namespace
}  // namespace lathe
