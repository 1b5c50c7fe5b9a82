#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/data/csv.h>
#include <lathe/data/text_files.h>
#include <lathe/study/pairs.h>

#include <array>
#include <set>
#include <utility>

namespace lathe {
namespace {

// A line of WinoBias without its number and brackets, and what stood between them.
struct WinoBiasLine {
  std::string text;
  std::string frame;  // the text with nothing between the brackets
  std::vector<std::string> bracketed;
};

WinoBiasLine winobias_line(std::string_view line, const std::string& where) {
  line = line.substr(0, line.find_last_not_of(" \r") + 1);
  const std::size_t number = line.find_first_not_of("0123456789");
  if (number == 0 || number == line.npos || line[number] != ' ') {
    fail(where, "expected a number, a space and a sentence");
  }
  WinoBiasLine read;
  for (line.remove_prefix(number + 1); !line.empty();) {
    const std::size_t open = line.find('[');
    read.text += line.substr(0, open);
    read.frame += line.substr(0, open);
    if (open == line.npos) break;
    const std::size_t close = line.find(']', open);
    if (close == line.npos) fail(where, "a '[' is not closed");
    read.bracketed.emplace_back(line.substr(open + 1, close - open - 1));
    read.text += read.bracketed.back();
    read.frame += "[]";
    line.remove_prefix(close + 1);
  }
  return read;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), lines.back().size() + 1));
  }
  return lines;
}

// The gender of the pronoun in which the two differ: "" unless they differ in pronouns alone, of
// one gender each.
std::string gender_of(const WinoBiasLine& pro, const WinoBiasLine& anti) {
  static const std::set<std::string> female = {"she", "her", "hers", "herself"};
  static const std::set<std::string> male = {"he", "him", "his", "himself"};
  if (pro.frame != anti.frame || pro.bracketed.size() != anti.bracketed.size()) return "";
  std::string gender;
  for (std::size_t i = 0; i < pro.bracketed.size(); ++i) {
    if (pro.bracketed[i] == anti.bracketed[i]) continue;
    const bool she = female.contains(pro.bracketed[i]) && male.contains(anti.bracketed[i]);
    const bool he = male.contains(pro.bracketed[i]) && female.contains(anti.bracketed[i]);
    const std::string here = she ? "female" : he ? "male" : "";
    if (here.empty() || (!gender.empty() && gender != here)) return "";
    gender = here;
  }
  return gender;
}

// The lines of one type, that of the pro file being told where they are left out.
void add_winobias_type(PairSet& set, const TextFile& pro, const TextFile& anti,
                       const std::string& type) {
  const std::vector<std::string_view> pros = lines_of(pro.text);
  const std::vector<std::string_view> antis = lines_of(anti.text);
  const std::string pro_name = pro.file.path.string();
  if (pros.size() != antis.size()) {
    fail(pro_name, ": has ", pros.size(), " lines, but ", anti.file.path.string(), " has ",
         antis.size(), ": they must be in step");
  }
  for (std::size_t i = 0; i < pros.size(); ++i) {
    const std::uint64_t line = i + 1;
    const WinoBiasLine more = winobias_line(pros[i], cat(pro_name, ":", line, ": "));
    const WinoBiasLine less =
        winobias_line(antis[i], cat(anti.file.path.string(), ":", line, ": "));
    const std::string gender = gender_of(more, less);
    if (gender.empty()) {
      set.left_out.push_back({pro.file.path.filename().string(), line,
                              "the two sentences do not differ in the pronoun alone"});
      continue;
    }
    set.pairs.push_back(
        {more.text, less.text, type, gender, pro.file.path.filename().string(), line});
  }
  set.files.push_back(pro.file);
  set.files.push_back(anti.file);
}

TextPair pair_of(const Json& row, const std::string& where) {
  if (!row.is_object()) fail(where, "expected an object, found ", row.type_name());
  const auto text = [&](const char* key, bool required) {
    const auto found = row.find(key);
    if (found == row.end()) {
      if (!required) return std::string();
      fail(where, "the key '", key,
           "' is missing: expected {\"more\": \"...\", \"less\": \"...\"}");
    }
    if (!found->is_string()) {
      fail(where, "key '", key, "': expected a string, found ", found->type_name());
    }
    return found->get<std::string>();
  };
  return {.more = text("more", true),
          .less = text("less", true),
          .group = text("group", false),
          .direction = text("direction", false),
          .file = {},
          .line = 0};
}

}  // namespace

std::string_view name_of(PairRule rule) {
  return rule == PairRule::shared ? "shared" : "differing";
}

PairSet read_crows_pairs(const std::filesystem::path& file) {
  const TextFile text = read_text_file(file);
  const CsvTable table = parse_csv(text.text, file.string());
  const std::array columns = {table.column("sent_more"), table.column("sent_less"),
                              table.column("bias_type"), table.column("stereo_antistereo")};
  PairSet set{.name = "crows_pairs",
              .rule = PairRule::shared,
              .files = {text.file},
              .pairs = {},
              .left_out = {}};
  for (const CsvRow& row : table.rows) {
    const std::string& direction = row.fields[columns[3]];
    if (direction != "stereo" && direction != "antistereo") {
      fail(file.string(), ":", row.line, ": column 'stereo_antistereo': expected stereo or ",
           "antistereo, found '", direction, "'");
    }
    set.pairs.push_back({row.fields[columns[0]], row.fields[columns[1]], row.fields[columns[2]],
                         direction, file.filename().string(), row.line});
  }
  return set;
}

PairSet read_winobias(const std::filesystem::path& folder) {
  PairSet set{
      .name = "winobias", .rule = PairRule::differing, .files = {}, .pairs = {}, .left_out = {}};
  for (const std::string ending : {".dev", ".test"}) {
    for (const std::string type : {"type1", "type2"}) {
      const auto path = [&](const char* side) {
        return folder / cat(side, "_stereotyped_", type, ".txt", ending);
      };
      if (!std::filesystem::exists(path("pro"))) continue;
      add_winobias_type(set, read_text_file(path("pro")), read_text_file(path("anti")), type);
    }
  }
  if (set.files.empty()) {
    fail(folder.string(), ": there is no pro_stereotyped_type1.txt.dev here: expected the files ",
         "of WinoBias");
  }
  return set;
}

PairSet read_pair_file(const std::filesystem::path& file) {
  const TextFile text = read_text_file(file);
  PairSet set{.name = file.stem().string(),
              .rule = PairRule::shared,
              .files = {text.file},
              .pairs = {},
              .left_out = {}};
  std::uint64_t line = 0;
  for (const std::string_view row : lines_of(text.text)) {
    ++line;
    if (row.find_first_not_of(" \t\r") == row.npos) continue;
    set.pairs.push_back(
        pair_of(parse_json_line(row, file.string(), line), cat(file.string(), ":", line, ": ")));
    set.pairs.back().file = file.filename().string();
    set.pairs.back().line = line;
  }
  if (set.pairs.empty()) fail(file.string(), ": no pairs: expected one JSON object a line");
  return set;
}

PairSet read_pairs(const std::string& name, const std::filesystem::path& data) {
  const bool known = name == "crows_pairs" || name == "winobias";
  if (!known) {
    if (!std::filesystem::exists(name)) {
      fail("there are no pairs '", name,
           "': expected crows_pairs, winobias, or the path of a file ", "or folder that exists");
    }
    if (std::filesystem::is_directory(name)) return read_winobias(name);
    return std::filesystem::path(name).extension() == ".csv" ? read_crows_pairs(name)
                                                             : read_pair_file(name);
  }
  const std::filesystem::path place =
      name == "winobias" ? data / "winobias" : data / "crows-pairs" / "crows_pairs_anonymized.csv";
  if (data.empty() || !std::filesystem::exists(place)) {
    fail("the pairs '", name, "' are not at ", data.empty() ? "$LATHE_DATA" : place.string(),
         ": set the environment variable LATHE_DATA to the folder that has them, or give their ",
         "own path");
  }
  return name == "winobias" ? read_winobias(place) : read_crows_pairs(place);
}

}  // namespace lathe
