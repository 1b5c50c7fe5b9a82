// Comma-separated values as RFC 4180 has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct CsvRow {
  std::uint64_t line = 0;  // on which it begins, from 1; a quoted field may hold line feeds
  std::vector<std::string> fields;
};

struct CsvTable {
  std::vector<std::string> columns;  // the first row
  std::vector<CsvRow> rows;          // each with as many fields as there are columns

  // Place of a column. Throws Error with the name of the file and the columns that it has.
  std::size_t column(std::string_view name) const;
  std::string name;  // of the file
};

// Fields in double quotes may hold commas, line feeds and doubled quotes; lines end in LF or CRLF;
// empty lines are passed over. Throws Error with "name:line" at an open or misplaced quote, and at
// a row with more or fewer fields than the first.
CsvTable parse_csv(std::string_view content, std::string_view name);

}  // namespace lathe
