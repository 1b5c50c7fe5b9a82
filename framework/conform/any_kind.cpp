// What holds for components of every kind, also for kinds that this host has never heard of.
#include <lathe/base/threads.h>
#include <lathe/conform/draw.h>
#include <lathe/conform/suite.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <set>
#include <thread>

namespace lathe::conform {
namespace {
bool is_name(std::string_view text) {
  return !text.empty() && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

void loads(Trial& trial) {
  trial.phase("loading the library");
  const Descriptor& found = trial.descriptor();
  trial.expect(found.kind() == trial.kind() && found.name() == trial.name(), "it says it is ",
               found.kind(), " '", found.name(), "'");
  trial.expect(is_name(found.name()), "its name '", found.name(),
               "' is not lower_case (a-z, 0-9 and _)");
  const std::string_view version = found.version();
  trial.expect(!version.empty() && version[0] >= '0' && version[0] <= '9', "its version '", version,
               "' does not begin with a number, as \"1.0.0\" does");
}

void declares(Trial& trial) {
  trial.phase("listing its options");
  const Schema schema = trial.schema();
  std::set<std::string> seen;
  for (const Option& option : schema.options) {
    trial.expect(seen.insert(option.name).second, "the option '", option.name,
                 "' is declared twice");
    trial.expect(is_name(option.name), "the option '", option.name,
                 "' is not lower_case (a-z, 0-9 and _)");
    trial.expect(option.name != "use", "an option cannot be called 'use', which names the plugin");
    trial.expect(!option.meaning.empty(), "the option '", option.name, "' has no meaning");
    if (option.required) continue;
    const bool table = option.type == OptionType::table;
    const std::string fault = table ? "" : fault_of(option.fallback, option, option.name);
    trial.expect(fault.empty(), "the default of '", option.name, "' breaks its own rule: ", fault);
  }
  if (!trial.registry().file_of(trial.kind(), trial.name()).empty() &&
      trial.registry().manual_of(trial.kind(), trial.name()).empty()) {
    trial.warn("it has no manual: begin its file with a comment that says what it is for");
  }
}

void is_made(Trial& trial) {
  for (const Option& option : trial.schema().options) {
    if (!option.required || trial.options().has(join_path("", option.name))) continue;
    fail("it needs the option '", option.name, "' (", option.meaning, "): lathe conform ",
         trial.name(), " ", option.name, "=...");
  }
  for (const char* time : {"the first", "the second"}) {
    trial.phase("making it for ", time, " time");
    std::shared_ptr<void> made = trial.make_any(trial.options());
    trial.phase("destroying it for ", time, " time");
    made.reset();
  }
}

void refuses(Trial& trial) {
  trial.make_any(trial.options());  // else every refusal below would prove nothing
  for (const Choice& wrong : wrong_options(trial.schema(), trial.options())) {
    trial.phase("refusing ", wrong.text);
    try {
      trial.make_any(wrong.options);
      trial.fault("was made with ", wrong.text);
    } catch (const Error& error) {
      trial.expect(!std::string_view(error.what()).empty(), "refused without a word: ", wrong.text);
    }
  }
}

void two_at_once(Trial& trial) {
  trial.phase("making two at once");
  auto first = trial.make_any(trial.options());
  auto second = trial.make_any(trial.options());
  trial.expect(first != second, "both are the same object");
  trial.phase("destroying the first while the second lives");
  first.reset();
  first = trial.make_any(trial.options());
  trial.phase("destroying the second before the first");
  second.reset();
  first.reset();
}

std::string exercised(Trial& trial, const Config& options) {
  const Suite* suite = suite_of(trial.kind());
  if (suite == nullptr || suite->exercise == nullptr) {
    trial.skip("this host knows no way to use a ", trial.kind());
  }
  return suite->exercise(trial, options);
}

void same_twice(Trial& trial) {
  const std::string first = exercised(trial, trial.options());
  trial.expect(exercised(trial, trial.options()) == first,
               "two instances with the same options and seed gave different results");
}

void any_threads(Trial& trial) {
  set_threads(1);
  const std::string first = exercised(trial, trial.options());
  for (const int count : {2, 4, 8}) {
    set_threads(count);
    trial.expect(exercised(trial, trial.options()) == first, "other results with ", count,
                 " threads than with 1");
  }
  set_threads(0);
}

void other_thread(Trial& trial) {
  const std::string here = exercised(trial, trial.options());
  std::string there;
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      there = exercised(trial, trial.options());
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
  trial.expect(there == here, "other results in another thread than in the first one");
}

void at_bounds(Trial& trial) {
  for (const Choice& choice : options_at_bounds(trial.schema(), trial.options())) {
    trial.phase("making it with ", choice.text);
    try {
      trial.make_any(choice.options);
    } catch (const Unavailable&) {
      throw;
    } catch (const Error& error) {
      // Options may exclude each other: then the refusal must say so.
      trial.expect(error.what()[0] != '\0', "refused without a word: ", choice.text);
    }
  }
}

// What became of these options: the hash of what the component did, or why it refused them.
std::string outcome(Trial& trial, const Config& options) {
  const Suite* suite = suite_of(trial.kind());
  try {
    if (suite != nullptr && suite->exercise != nullptr) return suite->exercise(trial, options);
    trial.make_any(options);
    return "made";
  } catch (const Unavailable&) {
    throw;
  } catch (const Error& error) {
    return cat("refused: ", error.what());
  }
}

int fuzz_trials(int level) { return 10 << std::max(0, level - 4); }

void fuzz(Trial& trial) {
  const Config options =
      drawn_options(trial.schema(), trial.options(), trial.options(), trial.random("options"));
  const std::string text = options.to_text();
  trial.phase("using it with ", text);
  std::string first;
  try {
    first = outcome(trial, options);
    trial.expect(first != "refused: ", "refused without a word: ", text);
    trial.expect(outcome(trial, options) == first, "not the same twice with ", text);
  } catch (const Unavailable&) {
    throw;
  } catch (const std::exception& error) {
    trial.fault("with ", text, ": ", error.what());
  }
}
}  // namespace

std::vector<Test> tests_of_any_kind() {
  return {
      {"loads", 1, "its library loads and says what it is", loads},
      {"declares", 1, "its options have names, meanings, and defaults in range", declares},
      {"made", 1, "it is made and destroyed, twice", is_made},
      {"refuses", 1, "unknown keys and values out of range are refused", refuses},
      {"two_at_once", 2, "two instances live side by side", two_at_once},
      {"same_twice", 2, "two instances give the same results", same_twice},
      {"at_bounds", 3, "options at the ends of their ranges are taken, or refused with a reason",
       at_bounds},
      {"any_threads", 3, "the same results at 1, 2, 4 and 8 threads", any_threads},
      {"fuzz", 4, "drawn options: the same results twice, or a refusal with a reason", fuzz,
       fuzz_trials},
      {"other_thread", 6, "the same results in a thread that did not make the first", other_thread},
  };
}

}  // namespace lathe::conform
