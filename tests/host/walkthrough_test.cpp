// docs/write_a_plugin.md, done as a reader would: its files are written, its commands are run, and
// what it says they print is what they print.
//
//   ```cpp NAME    a file of that name
//   ```sh          commands; the `text` block behind them, if any, is what they print: its lines
//                  occur in this order, and "..." stands for anything
//   ```cpp         lines of a template of `lathe new`
#include "program.h"

#include <filesystem>
#include <sstream>

namespace lathe::testing {
namespace {

struct Block {
  std::string language, name, text;
  int line = 0;
};

std::vector<Block> blocks_of(const std::string& page) {
  std::vector<Block> blocks;
  std::istringstream lines(page);
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!line.starts_with("```")) {
      if (inside) blocks.back().text += line + "\n";
      continue;
    }
    inside = !inside;
    if (!inside) continue;
    const std::string info = line.substr(3);
    const std::size_t space = info.find(' ');
    const std::string name = space == info.npos ? "" : info.substr(space + 1);
    blocks.push_back({info.substr(0, space), name, "", number});
  }
  return blocks;
}

// Whether the pieces between "..." of a line occur in `said`, from `at` on; moves it behind them.
bool find_line(const std::string& said, const std::string& line, std::size_t& at) {
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find("...", begin), line.size());
    const std::size_t found = said.find(line.substr(begin, end - begin), at);
    if (found == said.npos) return false;
    at = found + (end - begin);
    begin = end + 3;
  }
  return true;
}

void expect_said(const Block& expected, const std::string& said) {
  std::istringstream lines(expected.text);
  std::size_t at = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(find_line(said, line, at))
        << "line " << expected.line << " ff. of the page expects\n"
        << line << "\nbut this was said:\n"
        << said;
  }
}

std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

TEST(WriteAPlugin, EveryCommandOfThePageWorks) {
  Program program;
  const auto blocks = blocks_of(read_file(LATHE_SOURCE "/docs/write_a_plugin.md"));
  std::string said;
  std::size_t commands = 0;
  for (const Block& block : blocks) {
    if (!block.name.empty()) {
      program.write(block.name, block.text);
    } else if (block.language == "sh") {
      const Program::Child child = program.start_program(
          {"/bin/sh", "-e", "-c", "exec 2>&1; PATH=" LATHE_BUILD "/bin:$PATH\n" + block.text});
      const Outcome outcome = Program::finish(child);
      said = outcome.out;
      EXPECT_EQ(outcome.code, 0) << "line " << block.line << ":\n" << block.text << said;
      ++commands;
    } else if (block.language == "text") {
      expect_said(block, said);
    }
  }
  EXPECT_GE(commands, 4U);
}

TEST(WriteAPlugin, ItsExcerptsAreOfTheTemplates) {
  std::string templates;
  for (const auto& entry :
       std::filesystem::directory_iterator(LATHE_SOURCE "/framework/host/templates")) {
    templates += without_blanks(read_file(entry.path()));
  }
  std::size_t seen = 0;
  for (const Block& block : blocks_of(read_file(LATHE_SOURCE "/docs/write_a_plugin.md"))) {
    if (block.language != "cpp" || !block.name.empty()) continue;
    ++seen;
    std::istringstream lines(block.text);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_NE(templates.find(without_blanks(line)), templates.npos)
          << "line " << block.line << " ff. of the page: no template has\n"
          << line;
    }
  }
  EXPECT_GE(seen, 5U);
}

}  // namespace
}  // namespace lathe::testing
