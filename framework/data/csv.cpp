#include <lathe/base/error.h>
#include <lathe/data/csv.h>

#include <algorithm>
#include <utility>

namespace lathe {
namespace {

class Reader {
 public:
  Reader(std::string_view content, std::string_view name) : rest_(content), name_(name) {}

  bool at_end() const { return rest_.empty(); }

  CsvRow row() {
    CsvRow row{line_, {}};
    do {
      row.fields.push_back(starts_with('"') ? quoted() : bare());
    } while (take(','));
    if (!at_end() && !take_line_end()) {
      fail(where(), "expected a comma or the end of the line after the closing quote, found '",
           rest_.front(), "'; a quote inside of a field is written twice");
    }
    return row;
  }

 private:
  std::string where() const { return cat(name_, ":", line_, ": "); }
  bool starts_with(char byte) const { return !rest_.empty() && rest_.front() == byte; }
  bool take(char byte) {
    if (!starts_with(byte)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_line_end() {
    if (rest_.starts_with("\r\n")) rest_.remove_prefix(1);
    if (!take('\n')) return false;
    ++line_;
    return true;
  }

  std::string bare() {
    std::string field(rest_.substr(0, rest_.find_first_of(",\n")));
    rest_.remove_prefix(field.size());
    if (starts_with('\n') && field.ends_with('\r')) field.pop_back();
    if (field.find('"') != field.npos) {
      fail(where(), "a quote stands inside of the bare field '", field,
           "': put the whole field in quotes and write the quote twice");
    }
    return field;
  }

  std::string quoted() {
    const std::uint64_t begin = line_;
    std::string field;
    rest_.remove_prefix(1);
    for (;;) {
      const std::size_t quote = rest_.find('"');
      if (quote == rest_.npos)
        fail(name_, ":", begin, ": the quote that begins here is not closed");
      const std::string_view part = rest_.substr(0, quote);
      line_ += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
      field += part;
      rest_.remove_prefix(quote + 1);
      if (!take('"')) return field;
      field += '"';
    }
  }

  std::string_view rest_;
  std::string_view name_;
  std::uint64_t line_ = 1;
};

}  // namespace

std::size_t CsvTable::column(std::string_view wanted) const {
  const auto found = std::find(columns.begin(), columns.end(), wanted);
  if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  std::string all;
  for (const std::string& one : columns) all += (all.empty() ? "'" : ", '") + one + "'";
  fail(name, ":1: there is no column '", wanted, "'; the columns are: ", all);
}

CsvTable parse_csv(std::string_view content, std::string_view name) {
  CsvTable table;
  table.name = name;
  Reader reader(content, name);
  while (!reader.at_end()) {
    CsvRow row = reader.row();
    if (row.fields.size() == 1 && row.fields[0].empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(row.fields);
      continue;
    }
    if (row.fields.size() != table.columns.size()) {
      fail(name, ":", row.line, ": this row has ", row.fields.size(), " fields, the first one ",
           table.columns.size(), ": a comma inside of a field needs quotes around it");
    }
    table.rows.push_back(std::move(row));
  }
  if (table.columns.empty()) fail(name, ": expected a first row with the names of the columns");
  return table;
}

}  // namespace lathe
