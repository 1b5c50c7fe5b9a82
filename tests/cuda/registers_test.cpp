// What ptxas said of each kernel when nvcc compiled it: nothing spills, and no kernel takes more
// registers than its family may.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>

namespace lathe {
namespace {

struct Report {
  std::string kernel;  // and for which device
  int registers = 0;
  int spilled = 0;  // bytes, stored and loaded
};

// Three messages belong to a kernel: its name, its memory, its registers.
std::vector<Report> reports_of(std::istream& messages) {
  static const std::regex name(R"(Compiling entry function '(\S+)' for '(\S+)')");
  static const std::regex spills(R"((\d+) bytes spill stores, (\d+) bytes spill loads)");
  static const std::regex registers(R"(Used (\d+) registers)");
  std::vector<Report> reports;
  std::smatch found;
  for (std::string line; std::getline(messages, line);) {
    if (std::regex_search(line, found, name)) {
      reports.push_back({found[1].str() + " " + found[2].str()});
    } else if (!reports.empty() && std::regex_search(line, found, spills)) {
      reports.back().spilled += std::stoi(found[1]) + std::stoi(found[2]);
    } else if (!reports.empty() && std::regex_search(line, found, registers)) {
      reports.back().registers = std::stoi(found[1]);
    }
  }
  return reports;
}

// Of a multiprocessor's 65,536 registers: with 64 a kernel of 256 threads has four blocks on it,
// which is what kernels that wait for memory need; tensor cores want all that a thread can have.
int limit_of(const std::string& file) {
  static const std::map<std::string, int> others = {
      {"attention", 255}, {"attention_gradient", 255}, {"sort", 128}};
  const auto found = others.find(file);
  return found == others.end() ? 64 : found->second;
}

TEST(Registers, OfAReportAreRead) {
  std::istringstream messages(
      "ptxas info    : Compiling entry function 'one' for 'sm_90'\n"
      "ptxas info    : Function properties for one\n"
      "    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
      "ptxas info    : Used 72 registers, used 0 barriers\n"
      "ptxas info    : Compiling entry function 'two' for 'sm_80'\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 9 registers\n");
  const std::vector<Report> reports = reports_of(messages);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].kernel, "one sm_90");
  EXPECT_EQ(reports[0].spilled, 20);
  EXPECT_EQ(reports[0].registers, 72);
  EXPECT_EQ(reports[1].registers, 9);
  EXPECT_EQ(reports[1].spilled, 0);
}

TEST(Registers, SufficeForEveryKernel) {
  const std::filesystem::path folder =
      LATHE_BUILD "/plugins/backends/cuda/CMakeFiles/cuda_kernels.dir";
  if (!exists(folder)) GTEST_SKIP() << "skipped: the plugin was not built";
  int kernels = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".cu.o.ptxas")) continue;
    std::ifstream messages(entry.path());
    const int limit = limit_of(file.substr(0, file.find('.')));
    for (const Report& report : reports_of(messages)) {
      EXPECT_EQ(report.spilled, 0) << report.kernel << " spills";
      EXPECT_LE(report.registers, limit) << report.kernel;
      EXPECT_GT(report.registers, 0) << report.kernel;
      ++kernels;
    }
  }
  if (kernels == 0) GTEST_SKIP() << "skipped: the plugin was not built";
}

}  // namespace
}  // namespace lathe
