// lathe VERB ...: data on standard output, messages and progress on standard error.
#include <lathe/base/file.h>
#include <lathe/base/log.h>
#include <lathe/conform/plugin_tests.h>
#include <lathe/host/verb.h>
#include <lathe/learn/components.h>
#include <lathe/study/launcher.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>

namespace lathe {
namespace {
namespace po = boost::program_options;

const Verb* const verbs[] = {
    &run_verb,   &resume_verb, &sweep_verb, &check_verb,   &show_verb,      &generate_verb,
    &score_verb, &audit_verb,  &play_verb,  &plugins_verb, &inspect_verb,   &sidecar_verb,
    &new_verb,   &build_verb,  &test_verb,  &conform_verb, &tokenizer_verb, &doctor_verb};

const Verb* find_verb(std::string_view name) {
  const auto found = std::find_if(std::begin(verbs), std::end(verbs),
                                  [&](const Verb* v) { return v->name == name; });
  return found == std::end(verbs) ? nullptr : *found;
}

void print_help(FILE* to) {
  std::fprintf(to,
               "lathe %s: train language models and agents from experiment files\n\n"
               "usage: lathe VERB [words] [options]\n\n",
               LATHE_VERSION);
  for (const Verb* verb : verbs) {
    std::fprintf(to, "  %-49s %s\n", cat(verb->name, " ", verb->usage).c_str(), verb->meaning);
  }
  std::fprintf(to,
               "\n`lathe VERB --help` lists the options of a verb. Exit codes: 0 done, 1 failed,\n"
               "2 wrong usage, 75 stopped by a signal after saving (`lathe resume` goes on).\n");
}

po::options_description options_of(const Verb& verb) {
  po::options_description options("options");
  verb.declare(options);
  options.add_options()("plugin-path", po::value<std::vector<std::string>>()->composing(),
                        "folder to search for plugins before all others")(
      "quiet,q", "warnings and errors only")("json", "machine-readable output")("help,h",
                                                                                "this text");
  return options;
}

void print_verb_help(const Verb& verb, const po::options_description& options, FILE* to) {
  std::ostringstream text;
  text << options;
  std::fprintf(to, "usage: lathe %s %s\n  %s\n\n%s", verb.name, verb.usage, verb.meaning,
               text.str().c_str());
}

// Words such as ~key and +key=value are no options; everything that begins with "--" or "-x" is.
Arguments parse(const Verb& verb, const std::vector<std::string>& all) {
  po::options_description options = options_of(verb);
  po::options_description hidden;
  hidden.add_options()("word", po::value<std::vector<std::string>>());
  po::options_description both;
  both.add(options).add(hidden);
  po::positional_options_description positions;
  positions.add("word", -1);
  Arguments arguments;
  arguments.all = all;
  try {
    const std::vector<std::string> rest(all.begin() + 2, all.end());
    po::store(
        po::command_line_parser(rest)
            .options(both)
            .positional(positions)
            .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
            .run(),
        arguments.options);
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  if (arguments.has("word")) {
    arguments.words = arguments.options["word"].as<std::vector<std::string>>();
  }
  return arguments;
}

int dispatch(const std::vector<std::string>& all) {
  if (all.size() < 2 || all[1] == "help" || all[1] == "--help" || all[1] == "-h") {
    print_help(all.size() < 2 ? stderr : stdout);
    return all.size() < 2 ? exit_usage : exit_done;
  }
  if (all[1] == "--version") {
    std::printf("lathe %s\n", LATHE_VERSION);
    return exit_done;
  }
  const Verb* verb = find_verb(all[1]);
  if (verb == nullptr) {
    log_error("there is no verb '", all[1], "'");
    print_help(stderr);
    return exit_usage;
  }
  try {
    const Arguments arguments = parse(*verb, all);
    if (arguments.has("help")) {
      print_verb_help(*verb, options_of(*verb), stdout);
      return exit_done;
    }
    set_log_quiet(arguments.has("quiet"));
    Registry registry(plugin_places(arguments));
    add_components(registry);
    registry.add_kind<Launcher>();
    registry.add_kind<conform::PluginTests>();
    return verb->run(arguments, registry);
  } catch (const UsageError& error) {
    log_error(error.what());
    print_verb_help(*verb, options_of(*verb), stderr);
    return exit_usage;
  } catch (const std::exception& error) {
    log_error(error.what());
    return exit_failed;
  }
}

// Where a standard file is closed (2>&-), the next file to be opened would take its number and
// receive what is meant for it. For reading only, so that writing there still fails.
void occupy_standard_files() {
  int file = open("/dev/null", O_RDONLY);
  while (file >= 0 && file <= STDERR_FILENO) file = open("/dev/null", O_RDONLY);
  if (file > STDERR_FILENO) close(file);
}

// What a verb has printed may still be on its way, and the disk behind it full. A reader that has
// gone away (`| head`) has seen what it wanted.
int delivered(int code) {
  errno = 0;
  std::cout.flush();  // of both buffers, unless somebody has parted them
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout;
  const int number = errno;
  pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  if (!failed || number == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0)) {
    return code;
  }
  log_error("cannot write standard output", number == 0 ? "" : ": " + reason(number),
            "; what is there is not whole");
  return code == exit_done ? exit_failed : code;
}
}  // namespace

const std::string& Arguments::word(std::size_t index, const char* what) const {
  if (index >= words.size()) throw UsageError(cat("no ", what, " was given"));
  return words[index];
}

ProgressStyle Arguments::progress() const {
  if (has("quiet")) return ProgressStyle::quiet;
  return has("json") ? ProgressStyle::json : ProgressStyle::automatic;
}

}  // namespace lathe

int main(int count, char** words) {
  lathe::occupy_standard_files();
  return lathe::delivered(lathe::dispatch(std::vector<std::string>(words, words + count)));
}
