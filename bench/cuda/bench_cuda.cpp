// Everything that the backend "cuda" must show on a GPU, in one run: each op against `reference` in
// f64 and its bits run to run, ten training losses against the CPU, and the speeds that have a
// goal.
//
//   bench_cuda [--json FILE] [--python PYTHON] [--checks] [--quick] [--backend NAME]
//
//   --json FILE      writes the findings there as well
//   --python PYTHON  an interpreter with torch: its figures of the same work, in the same run
//   --checks         no speeds
//   --quick          small sizes: tries this program itself
//   --backend NAME   another backend in the place of "cuda", for the same purpose
//
// A part that fails is a failed check with its message, and the next part runs; the JSON file is
// written after each part, so that a run that is cut short leaves what it found.
//
// Exit code: 0, 1 when a check failed, 2 for a wrong call, 77 without a device.
#include <lathe/base/error.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "checks.h"
#include "gpt2.h"
#include "report.h"
#include "speeds.h"

namespace lathe::bench {
namespace {

struct Request {
  std::string json, python, backend = "cuda";
  bool checks = false;
  Sizes sizes{};
};

// Findings are printed as they come, for a machine that is lent by the minute.
class Running {
 public:
  explicit Running(Report& report) : report_(report) {}
  void operator()(const Finding& finding) {
    report_.findings.push_back(finding);
    std::fprintf(stderr, "%s: %s %.5g %s %s %s\n", finding.group.c_str(), finding.name.c_str(),
                 finding.value, finding.unit.c_str(), verdict(finding).c_str(),
                 finding.note.c_str());
  }

 private:
  Report& report_;
};

void ask_peer(const Request& request, const Take& take) {
  const std::string command =
      cat("'", request.python, "' '", LATHE_SOURCE, "/bench/peers/cuda_torch.py'",
          request.sizes.quick ? " --quick" : "", request.backend == "cuda" ? "" : " --device cpu");
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) fail("could not run ", command);
  std::string line;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    if (const auto finding = parse_peer("torch", line)) take(*finding);
    line.clear();
  }
  if (pclose(pipe) != 0) take({.group = "torch", .name = "script", .note = "ended with an error"});
}

void write(const Report& report, const std::string& path) {
  if (path.empty()) return;
  std::ofstream file(path);
  if (!(file << report.json())) fail("could not write ", path);
}

int run(const Request& request) {
  std::unique_ptr<Backend> backend;
  try {
    backend = registry().create<Backend>(request.backend, Config());
  } catch (const Error& error) {
    std::printf("no device: %s\n", error.what());
    return no_device;
  }
  Report report{.device = backend->device(), .seconds = 0, .findings = {}};
  const double begin = seconds_now();
  Running take(report);
  const auto part = [&](const char* name, const auto& work) {
    try {
      work();
    } catch (const std::exception& error) {
      take({.group = name, .name = "could not go on", .passed = false, .note = error.what()});
    }
    report.seconds = seconds_now() - begin;
    write(report, request.json);
  };
  const Sizes& sizes = request.sizes;
  part("op", [&] { check_ops(request.backend, sizes, take); });
  part("losses", [&] { check_losses(request.backend, sizes, take); });
  if (!request.checks) {
    part("product", [&] { measure_ops(*backend, request.backend, sizes, take); });
    backend.reset();
    part("train", [&] { measure_training(request.backend, sizes, take); });
    part("write", [&] { measure_writing(request.backend, sizes, take); });
    if (!request.python.empty()) part("torch", [&] { ask_peer(request, take); });
  }
  std::printf("%s", report.table().c_str());
  return report.exit_code();
}

}  // namespace
}  // namespace lathe::bench

int main(int count, char** arguments) {
  lathe::bench::Request request;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    if (word == "--checks") {
      request.checks = true;
    } else if (word == "--quick") {
      request.sizes = lathe::bench::quick_sizes();
    } else if (i + 1 < count && word == "--json") {
      request.json = arguments[++i];
    } else if (i + 1 < count && word == "--python") {
      request.python = arguments[++i];
    } else if (i + 1 < count && word == "--backend") {
      request.backend = arguments[++i];
    } else {
      std::fprintf(stderr,
                   "usage: bench_cuda [--json FILE] [--python PYTHON] [--checks] [--quick] "
                   "[--backend NAME]\n");
      return 2;
    }
  }
  try {
    return lathe::bench::run(request);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
