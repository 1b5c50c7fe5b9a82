// The rules of the house, read from the sources.
#include <lathe/base/file.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
const filesystem::path source = LATHE_SOURCE;

// Lowest first.
const std::vector<std::string> rooms = {"base",  "config",  "plugin", "tensor", "nn",
                                        "text",  "data",    "learn",  "io",     "run",
                                        "study", "conform", "host"};

int floor_of(const std::string& room) {
  return static_cast<int>(std::find(rooms.begin(), rooms.end(), room) - rooms.begin());
}

// All files below a folder with one of the endings, without links.
std::vector<filesystem::path> files_in(const std::string& folder,
                                       const std::set<std::string>& endings) {
  std::vector<filesystem::path> files;
  if (!filesystem::exists(source / folder)) return files;
  for (const auto& entry : filesystem::recursive_directory_iterator(source / folder)) {
    if (entry.is_regular_file() && endings.contains(entry.path().extension().string())) {
      files.push_back(entry.path());
    }
  }
  return files;
}
const std::set<std::string> code = {".h", ".cpp", ".cu", ".cuh"};

// What stands between the brackets or quotes of each #include, with them.
std::vector<std::string> includes_of(const filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> all;
  for (std::string line; std::getline(stream, line);) {
    static const std::regex pattern(R"(^\s*#\s*include\s*([<"][^>"]+[>"]).*)");
    std::smatch match;
    if (std::regex_match(line, match, pattern)) all.push_back(match[1]);
  }
  return all;
}

// The room of <lathe/room/file.h>, or "".
std::string room_of(const std::string& include) {
  if (include.rfind("<lathe/", 0) != 0) return "";
  return include.substr(7, include.find('/', 7) - 7);
}

std::string shown(const filesystem::path& file) {
  return filesystem::relative(file, source).string();
}

TEST(House, NoRoomIncludesAHigherOne) {
  std::size_t seen = 0;
  for (const filesystem::path& file : files_in("framework", code)) {
    const std::string room = *filesystem::relative(file, source / "framework").begin();
    ASSERT_LT(floor_of(room), static_cast<int>(rooms.size())) << shown(file) << ": no such room";
    for (const std::string& include : includes_of(file)) {
      const std::string other = room_of(include);
      if (other.empty()) {
        EXPECT_FALSE(include[0] == '"' && include.find("..") != include.npos) << shown(file);
        continue;
      }
      ++seen;
      EXPECT_LE(floor_of(other), floor_of(room)) << shown(file) << " includes " << include;
      const std::string name = include.substr(7, include.size() - 8);
      const bool made = filesystem::exists(std::string(LATHE_BUILD "/include/lathe/") + name);
      EXPECT_TRUE(made || filesystem::exists(source / "framework" / name))
          << shown(file) << " includes " << include;
    }
  }
  EXPECT_GT(seen, 100U);
}

TEST(House, PluginsSeeTheFrameworkUpToTheirRoomAndNoOtherPlugin) {
  for (const filesystem::path& file : files_in("plugins", code)) {
    const filesystem::path place = filesystem::relative(file, source / "plugins");
    const std::string kind = *place.begin();
    const std::string highest = kind == "backends"    ? "tensor"
                                : kind == "launchers" ? "study"
                                                      : "learn";
    filesystem::path home = source / "plugins" / kind;  // of a plugin that is a folder
    if (std::distance(place.begin(), place.end()) > 2) home /= *std::next(place.begin());
    for (const std::string& include : includes_of(file)) {
      const std::string room = room_of(include);
      if (!room.empty()) {
        EXPECT_LE(floor_of(room), floor_of(highest)) << shown(file) << " includes " << include;
      } else if (include[0] == '"') {
        const std::string name = include.substr(1, include.size() - 2);
        filesystem::path found = file.parent_path() / name;
        if (!filesystem::exists(found)) found = home / name;
        EXPECT_TRUE(filesystem::exists(found)) << shown(file) << " includes " << include;
        const std::string inside = filesystem::relative(found, home).string();
        EXPECT_NE(inside.rfind("..", 0), 0U) << shown(file) << " includes " << include;
      }
    }
  }
}

// Everything that a plugin author's file pulls in must be ours or the standard library's.
TEST(House, PublicHeadersHaveNoThirdParties) {
  std::set<std::string> reached;
  std::vector<std::string> waiting = {"base/error.h",    "base/random.h",  "plugin/plugin.h",
                                      "data/batch.h",    "data/dataset.h", "data/examples.h",
                                      "text/tokenizer.h"};
  for (const std::string room : {"config", "tensor", "nn", "learn"}) {
    for (const filesystem::path& file : files_in("framework/" + room, {".h"})) {
      waiting.push_back(filesystem::relative(file, source / "framework").string());
    }
  }
  while (!waiting.empty()) {
    const std::string name = waiting.back();
    waiting.pop_back();
    if (!reached.insert(name).second) continue;
    for (const std::string& include : includes_of(source / "framework" / name)) {
      const std::string inner = include.substr(1, include.size() - 2);
      if (!room_of(include).empty()) {
        waiting.push_back(inner.substr(6));
      } else {
        EXPECT_EQ(inner.find_first_of("/."), inner.npos)
            << name << " includes " << include << ", which is not of the standard library";
      }
    }
  }
  EXPECT_GT(reached.size(), 30U);
}

TEST(House, FilesStayUnder400Lines) {
  for (const std::string folder : {"framework", "plugins", "tests", "bench"}) {
    for (const filesystem::path& file : files_in(folder, {".h", ".cpp", ".cu", ".cuh", ".py"})) {
      std::ifstream stream(file);
      const auto lines = std::count(std::istreambuf_iterator<char>(stream), {}, '\n');
      EXPECT_LE(lines, 400) << shown(file);
    }
  }
}

TEST(House, ExperimentsBeginWithQuestionAndExpectation) {
  std::size_t seen = 0;
  for (const filesystem::path& file : files_in("experiments", {".toml"})) {
    if (file.parent_path() != source / "experiments") continue;  // parts that others include
    std::ifstream stream(file);
    std::string head;
    for (std::string line; std::getline(stream, line) && line.starts_with('#');) head += line;
    EXPECT_NE(head.find('?'), head.npos) << shown(file) << ": its comment asks no question";
    EXPECT_NE(head.find("Expected"), head.npos) << shown(file) << ": what is expected?";
    const std::string command = "LATHE_DATA=${LATHE_DATA:-/data} " LATHE_BUILD "/bin/lathe check " +
                                file.string() + " >/dev/null 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << shown(file) << " does not pass `lathe check`";
    ++seen;
  }
  EXPECT_GT(seen, 2U);
}

TEST(House, NoFileKnowsAMachine) {
  // Pieces, so that this file does not find itself.
  const std::vector<std::string> paths = {std::string("/wo") + "rk/", std::string("/ho") + "me/",
                                          std::string("/ro") + "ot/", std::string("/Us") + "ers/"};
  std::set<std::string> text = code;
  text.insert({".toml", ".md", ".txt", ".cmake", ".py", ".json", ""});
  std::vector<filesystem::path> files;
  for (const std::string folder :
       {"framework", "plugins", "tests", "bench", "experiments", "docs"}) {
    const auto some = files_in(folder, text);
    files.insert(files.end(), some.begin(), some.end());
  }
  for (const char* name : {"CMakeLists.txt", "lathe", "README.md", "CMakePresets.json"}) {
    if (filesystem::exists(source / name)) files.push_back(source / name);
  }
  for (const filesystem::path& file : files) {
    const std::string content = read_file(file.string());
    for (const std::string& path : paths) {
      EXPECT_EQ(content.find(path), content.npos) << shown(file) << " holds " << path;
    }
  }
}

}  // namespace
}  // namespace lathe
