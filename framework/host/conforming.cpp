#include <lathe/base/output_file.h>
#include <lathe/host/conforming.h>

#include <algorithm>
#include <cstdio>

namespace lathe {
namespace po = boost::program_options;

void declare_conforming(po::options_description& options) {
  options.add_options()("level", po::value<int>()->default_value(conform::usual_level),
                        "1 to 10: more tests, and larger")(
      "seed", po::value<std::uint64_t>()->default_value(1), "of everything that is drawn")(
      "limit", po::value<double>()->default_value(60), "seconds that one test may take")(
      "reproduce", po::value<std::string>(), "TEST-NUMBER: this test with this draw alone")(
      "junit", po::value<std::string>(), "write the results to this file, in JUnit's form");
}

conform::Request conforming_request(const Arguments& arguments) {
  conform::Request request;
  request.level = arguments.options["level"].as<int>();
  if (request.level < 1 || request.level > conform::highest_level) {
    throw UsageError(cat("--level is ", request.level, ", allowed: 1 to ", conform::highest_level));
  }
  request.seed = arguments.options["seed"].as<std::uint64_t>();
  request.limit = arguments.options["limit"].as<double>();
  if (!(request.limit > 0)) throw UsageError("--limit must be above 0 seconds");
  if (arguments.has("reproduce")) request.reproduce = arguments.text("reproduce");
  return request;
}

void print_result(const Arguments& arguments, const conform::Result& result) {
  if (!arguments.has("json")) std::fputs(conform::to_text(result).c_str(), stdout);
}

int finish_reports(const Arguments& arguments, const std::vector<conform::Report>& reports) {
  const bool passed = std::all_of(reports.begin(), reports.end(),
                                  [](const conform::Report& report) { return report.passed(); });
  if (arguments.has("junit")) write_output(arguments.text("junit"), conform::to_junit(reports));
  if (arguments.has("json")) {
    std::printf("%s\n", conform::to_json(reports).c_str());
  } else {
    std::printf("%s\n", passed ? "passed" : "failed");
  }
  return passed ? exit_done : exit_failed;
}

}  // namespace lathe
