#include <lathe/base/json.h>
#include <lathe/conform/conform.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <sstream>

namespace lathe::conform {
namespace {
constexpr std::size_t most_faults = 20;

// The random number of a trial: 32 bits, so that people can type it.
std::uint64_t number_of(const Request& request, const Test& test, int trial) {
  return RandomStream(request.seed, "conform/" + test.name).word(static_cast<std::uint64_t>(trial));
}

std::string label_of(const Test& test, std::uint64_t number) { return cat(test.name, "-", number); }

// The number in "fuzz-4711" where it names this test.
std::optional<std::uint64_t> reproduced(const std::string& label, const Test& test) {
  if (!label.starts_with(test.name + "-")) return std::nullopt;
  const std::string digits = label.substr(test.name.size() + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// In the child: one trial; whatever is thrown becomes a message.
void run_trial(Registry& registry, const Subject& subject, const Test& test, int level,
               std::uint64_t number, const Say& say) {
  say(Json{{"what", "trial"}, {"text", label_of(test, number)}}.dump() + "\n");
  const auto tell = [&](const char* what, const char* text) {
    const Json line = {{"what", what}, {"text", text}};
    say(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  try {
    Trial trial(registry, subject, level, test.name, number, say);
    test.run(trial);
  } catch (const Skipped& reason) {
    tell("skip", reason.what());
  } catch (const Unavailable& reason) {
    tell("skip", cat("unavailable: ", reason.what()).c_str());
  } catch (const Error& error) {
    tell("fault", error.what());
  } catch (const Foreign& error) {
    tell("fault", error.what());
  } catch (const std::exception& error) {
    tell("fault", cat("threw a std::exception, \"", error.what(),
                      "\", where lathe::Error is "
                      "expected")
                      .c_str());
  } catch (...) {
    tell("fault", "threw something that is no std::exception");
  }
}

// What a child said, as a result.
struct Heard {
  Result& result;
  std::string phase = {};
  std::string trial = {};
  std::size_t faults = 0;
  bool ran = false;  // some trial was not skipped

  void line(const std::string& text) {
    const Json message = Json::parse(text, nullptr, false);
    if (message.is_discarded()) return;  // cut off by its death
    const std::string what = message.value("what", "");
    const std::string content = message.value("text", "");
    if (what == "trial") {
      trial = content;
      phase.clear();
    } else if (what == "phase") {
      phase = content;
    } else if (what == "warning") {
      result.warnings.push_back(content);
    } else if (what == "skip") {
      result.reason = content;
    } else if (what == "fault") {
      note(content);
    }
  }
  void note(const std::string& text) {
    if (faults++ == 0) result.reproduce = trial;
    if (faults <= most_faults) result.faults.push_back(text);
  }
};

Verdict verdict_of(const ChildEnd& end, const Result& result) {
  switch (end.how) {
    case ChildEnd::How::timed_out:
      return Verdict::hung;
    case ChildEnd::How::exited:
    case ChildEnd::How::signalled:
      return Verdict::died;
    case ChildEnd::How::finished:
      break;
  }
  if (!result.faults.empty()) return Verdict::failed;
  return result.reason.empty() ? Verdict::passed : Verdict::skipped;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '&') {
      result += "&amp;";
    } else if (letter == '<') {
      result += "&lt;";
    } else if (letter == '>') {
      result += "&gt;";
    } else if (letter == '"') {
      result += "&quot;";
    } else if (byte >= 32 || letter == '\n' || letter == '\t') {
      result += letter;
    } else {
      result += '?';  // XML 1.0 has no other control characters
    }
  }
  return result;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

std::size_t count_of(const Report& report, std::initializer_list<Verdict> verdicts) {
  return static_cast<std::size_t>(
      std::count_if(report.results.begin(), report.results.end(), [&](const Result& result) {
        return std::find(verdicts.begin(), verdicts.end(), result.verdict) != verdicts.end();
      }));
}
}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::failed:
      return "failed";
    case Verdict::died:
      return "died";
    case Verdict::hung:
      return "hung";
    case Verdict::skipped:
      return "skipped";
  }
  return "?";
}

bool Report::passed() const {
  return count_of(*this, {Verdict::failed, Verdict::died, Verdict::hung}) == 0;
}

Result run_test(Registry& registry, const Subject& subject, const Test& test,
                const Request& request) {
  std::vector<std::uint64_t> numbers;
  if (const auto number = reproduced(request.reproduce, test)) {
    numbers.push_back(*number);
  } else {
    const int count = test.trials == nullptr ? 1 : test.trials(request.level);
    for (int i = 0; i < count; ++i) numbers.push_back(number_of(request, test, i));
  }
  const ChildEnd end = in_child(
      [&](const Say& say) {
        for (const std::uint64_t number : numbers) {
          run_trial(registry, subject, test, request.level, number, say);
        }
      },
      request.limit);
  Result result;
  result.test = test.name;
  result.meaning = test.meaning;
  Heard heard{result};
  std::istringstream lines(end.said);
  for (std::string line; std::getline(lines, line);) heard.line(line);
  if (heard.faults > most_faults) {
    result.faults.push_back(cat("and ", heard.faults - most_faults, " more"));
  }
  if (end.how != ChildEnd::How::finished) {
    if (result.reproduce.empty()) result.reproduce = heard.trial;
    result.faults.push_back(
        cat("the process ", end.text(), heard.phase.empty() ? "" : cat(" while ", heard.phase)));
  }
  result.verdict = verdict_of(end, result);
  result.seconds = end.seconds;
  if (result.verdict != Verdict::passed) result.output = end.output;
  return result;
}

Report run_tests(Registry& registry, const Subject& subject, const std::vector<Test>& tests,
                 const Request& request, const std::function<void(const Result&)>& heard) {
  Report report{.kind = subject.kind,
                .name = subject.name,
                .file = {},
                .level = request.level,
                .results = {}};
  report.file = registry.file_of(subject.kind, subject.name).string();
  for (const Test& test : tests) {
    const bool wanted = request.reproduce.empty() ? test.level <= request.level
                                                  : reproduced(request.reproduce, test).has_value();
    if (!wanted) continue;
    report.results.push_back(run_test(registry, subject, test, request));
    if (heard) heard(report.results.back());
  }
  if (report.results.empty()) {
    fail("--reproduce ", request.reproduce, " names no test of ", subject.kind, " '", subject.name,
         "': expected TEST-NUMBER, as a failure tells it");
  }
  return report;
}

Report conform(Registry& registry, const Subject& subject, const Request& request,
               const std::function<void(const Result&)>& heard) {
  return run_tests(registry, subject, tests_of(subject.kind), request, heard);
}

std::string to_text(const Result& result) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%6.2f s", result.seconds);
  std::string text =
      cat("  ", name_of(result.verdict), std::string(9 - name_of(result.verdict).size(), ' '),
          seconds, "  ", result.test, ": ", result.meaning, "\n");
  if (!result.reason.empty() && result.verdict == Verdict::skipped) {
    text += cat("      ", result.reason, "\n");
  }
  for (const std::string& fault : result.faults) text += cat("      ", fault, "\n");
  for (const std::string& warning : result.warnings) text += cat("      warning: ", warning, "\n");
  if (result.verdict == Verdict::passed || result.verdict == Verdict::skipped) return text;
  if (!result.output.empty()) {
    text += cat("      it wrote: ", result.output, result.output.ends_with('\n') ? "" : "\n");
  }
  if (!result.reproduce.empty()) text += cat("      again: --reproduce ", result.reproduce, "\n");
  return text;
}

std::string to_json(const std::vector<Report>& reports) {
  Json all = Json::array();
  for (const Report& report : reports) {
    Json tests = Json::array();
    for (const Result& result : report.results) {
      tests.push_back({{"test", result.test},
                       {"verdict", name_of(result.verdict)},
                       {"faults", result.faults},
                       {"warnings", result.warnings},
                       {"reason", result.reason},
                       {"reproduce", result.reproduce},
                       {"output", result.output},
                       {"seconds", result.seconds}});
    }
    all.push_back({{"kind", report.kind},
                   {"name", report.name},
                   {"file", report.file},
                   {"level", report.level},
                   {"passed", report.passed()},
                   {"tests", tests}});
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

// The form that continuous-integration servers read.
std::string to_junit(const std::vector<Report>& reports) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const Report& report : reports) {
    double seconds = 0;
    for (const Result& result : report.results) seconds += result.seconds;
    text += cat("  <testsuite name=\"conform.", escaped(report.kind), ".", escaped(report.name),
                "\" tests=\"", report.results.size(), "\" failures=\"",
                count_of(report, {Verdict::failed}), "\" errors=\"",
                count_of(report, {Verdict::died, Verdict::hung}), "\" skipped=\"",
                count_of(report, {Verdict::skipped}), "\" time=\"", seconds, "\">\n");
    for (const Result& result : report.results) {
      text +=
          cat("    <testcase name=\"", escaped(result.test), "\" time=\"", result.seconds, "\">");
      const std::string faults = escaped(joined(result.faults));
      if (result.verdict == Verdict::failed) {
        text += cat("<failure message=\"again: --reproduce ", escaped(result.reproduce), "\">",
                    faults, "</failure>");
      } else if (result.verdict == Verdict::died || result.verdict == Verdict::hung) {
        text += cat("<error message=\"", name_of(result.verdict), "\">", faults, "</error>");
      } else if (result.verdict == Verdict::skipped) {
        text += cat("<skipped message=\"", escaped(result.reason), "\"/>");
      }
      if (!result.output.empty()) {
        text += cat("<system-out>", escaped(result.output), "</system-out>");
      }
      text += "</testcase>\n";
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace lathe::conform
