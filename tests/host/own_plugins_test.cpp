// Plugins of one's own: written by `lathe new`, made by `lathe build`, pinned by the manifest.
#include "program.h"

#include <lathe/base/hash.h>
#include <lathe/base/json.h>

#include <filesystem>

namespace lathe::testing {
namespace {
namespace filesystem = std::filesystem;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A schedule with one constant, small enough to be compiled often.
std::string flat(const std::string& factor) {
  return "// Schedule \"flat\": the rate times " + factor + R"(.
#include <lathe/learn/optimizer.h>
#include <lathe/plugin/plugin.h>

#include "parts/number.h"

namespace lathe {
class Flat final : public Schedule {
 public:
  double factor(std::int64_t, std::int64_t) const override { return )" +
         factor + R"( * one; }
};
LATHE_PLUGIN(Schedule, Flat, "flat", "1.0.0")
}  // namespace lathe
)";
}

class OwnPlugins : public ::testing::Test {
 protected:
  OwnPlugins() {
    program.write("tiny.toml", tiny);
    program.write("parts/number.h", "constexpr double one = 1.0;\n");
  }
  std::string library_of(const std::string& name) const {
    return program / ("data/lathe/plugins/" + name + ".so");
  }
  std::string library() const { return library_of("flat"); }
  void build(const std::string& factor) {
    program.write("flat.cpp", flat(factor));
    const Outcome built = program.run({"build", "flat.cpp"});
    ASSERT_EQ(built.code, 0) << built.error;
    EXPECT_EQ(built.out, library() + "\n");
  }
  Outcome run(std::vector<std::string> more) {
    std::vector<std::string> words = {"run", "tiny.toml", "schedule=flat", "train.steps=20", "-q"};
    words.insert(words.end(), more.begin(), more.end());
    return program.run(words);
  }
  // Whether three steps were done with this component.
  bool used_in_run(const std::string& kind, const std::string& name, const Json& said) const {
    const Json manifest =
        read_json(program / (said.at("run").get<std::string>() + "/manifest.json"));
    bool used = false;
    for (const Json& plugin : manifest.at("plugins")) {
      used = used || (plugin.at("kind") == kind && plugin.at("name") == name);
    }
    return used && said.at("step") == 3;
  }
  // Whether every cell was done by this launcher.
  bool launched_by(const std::string& name, const Json& said) const {
    bool done = said.at("cells").size() == 4;
    for (const Json& cell : said.at("cells")) done = done && cell.at("state") == "done";
    return done && read_json(program / said.at("plan").get<std::string>()).at("launcher") == name;
  }
  // Of the named file; fails where it does not exist.
  static std::string hash(const std::string& file) { return sha256_of_file(file); }
  Program program;
};

TEST_F(OwnPlugins, EachTemplateIsWrittenAsItWasCompiledAndRunsAndConforms) {
  std::size_t seen = 0;
  for (const auto& entry : filesystem::directory_iterator(LATHE_TEMPLATES)) {
    const std::string name = entry.path().stem();  // my_KIND, or its test
    if (entry.path().extension() != ".cpp" || name.ends_with("_test")) continue;
    ++seen;
    const std::string kind = name.substr(3);
    const Outcome made = program.run({"new", kind, name, "mine"});
    ASSERT_EQ(made.code, 0) << made.error;
    EXPECT_EQ(made.out,
              "mine/" + name + ".cpp\nmine/" + name + "_test.cpp\nmine/" + name + ".toml\n");
    for (const char* ending : {".cpp", "_test.cpp"}) {
      EXPECT_EQ(read_file(program / ("mine/" + name + ending)),
                read_file(std::string(LATHE_TEMPLATES "/") + name + ending))
          << kind;
    }
    const std::string verb = kind == "launcher" ? "sweep" : "run";
    EXPECT_TRUE(holds(made.error, "next: lathe test mine/" + name + "_test.cpp && lathe " + verb +
                                      " mine/" + name + ".toml"))
        << made.error;

    const Outcome ran = program.run({verb, "mine/" + name + ".toml", "--plugin-path",
                                     LATHE_TEMPLATES, "--json", "-q", "train.steps=3"});
    ASSERT_EQ(ran.code, 0) << kind << ": " << ran.error;
    const Json said = Json::parse(ran.out);
    EXPECT_TRUE(kind == "launcher" ? launched_by(name, said) : used_in_run(kind, name, said))
        << kind << ": its experiment uses another";

    const Outcome tested = program.run({"test", LATHE_TEMPLATES "/" + name + "_test.so",
                                        "--plugin-path", LATHE_TEMPLATES, "--json"});
    EXPECT_EQ(tested.code, 0) << kind << ": " << tested.out << tested.error;
    const Json report = Json::parse(tested.out).at(0);
    EXPECT_EQ(report.at("name"), name);
    EXPECT_EQ(report.at("kind"), kind);
    for (const Json& test : report.at("tests")) EXPECT_EQ(test.at("verdict"), "passed") << test;

    const Outcome judged = program.run(
        {"conform", name, "--kind", kind, "--plugin-path", LATHE_TEMPLATES, "--level", "2"});
    EXPECT_EQ(judged.code, 0) << kind << ": " << judged.out << judged.error;
  }
  EXPECT_EQ(seen, 11U);
}

// As a researcher would: one command builds the plugin and its test; a wrong value is told, and a
// changed plugin is built again before it is tested.
TEST_F(OwnPlugins, TestBuildsWhatLiesBesideItAndTellsAWrongValue) {
  ASSERT_EQ(program.run({"new", "schedule", "waves"}).code, 0);
  const Outcome good = program.run({"test", "waves_test.cpp"});
  EXPECT_EQ(good.code, 0) << good.out << good.error;
  EXPECT_TRUE(holds(good.out, "schedule 'waves', by waves_test\n  passed")) << good.out;
  EXPECT_TRUE(exists(program / "data/lathe/plugins/waves.so"));
  EXPECT_TRUE(exists(program / "cache/lathe/tests/waves_test.so"));
  const std::string listed = program.run({"plugins"}).out;
  EXPECT_FALSE(holds(listed, "waves_test")) << listed;

  std::string source = read_file(program / "waves.cpp");
  source.replace(source.find("1 + std::cos"), 12, "1 - std::cos");
  program.write("waves.cpp", source);
  const Outcome wrong = program.run({"test", "waves_test.cpp", "--junit", "results.xml"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_TRUE(holds(wrong.out, "the factor of step 0: 0.2, expected 1 within 1e-12")) << wrong.out;
  EXPECT_TRUE(holds(read_file(program / "results.xml"), "failures=\"1\""));

  EXPECT_TRUE(holds(program.run({"test", "waves.cpp"}).error, "expected the tests of a plugin"));
  EXPECT_TRUE(holds(program.run({"test", library_of("waves")}).error, "holds no tests"));
}

TEST_F(OwnPlugins, NewRefusesWhatItCannotName) {
  const Outcome kind = program.run({"new", "rewrad", "x"});
  EXPECT_EQ(kind.code, 2);
  EXPECT_TRUE(holds(kind.error, "there is no kind 'rewrad'. Did you mean 'reward'? Kinds: "))
      << kind.error;
  for (const std::string name : {"Big", "two-words", "9th", "", "with space"}) {
    const Outcome outcome = program.run({"new", "schedule", name});
    EXPECT_EQ(outcome.code, 2) << name;
    EXPECT_TRUE(holds(outcome.error, "'" + name + "' cannot name a plugin")) << outcome.error;
  }
  ASSERT_EQ(program.run({"new", "schedule", "waves"}).code, 0);
  const Outcome twice = program.run({"new", "schedule", "waves"});
  EXPECT_EQ(twice.code, 1);
  EXPECT_TRUE(holds(twice.error, "waves.cpp: is there already")) << twice.error;
  const Outcome twin = program.run({"new", "schedule", "cosine"});
  EXPECT_EQ(twin.code, 0);
  EXPECT_TRUE(holds(twin.error, "there is a schedule 'cosine' already (built in)")) << twin.error;
}

TEST_F(OwnPlugins, BuildSaysWhereToLook) {
  const auto failure = [&](const std::string& text) {
    program.write("broken.cpp", text);
    const Outcome outcome = program.run({"build", "broken.cpp"});
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_FALSE(exists(program / "data/lathe/plugins/broken.so"));
    return outcome.error;
  };
  const std::string wrong = failure("int one = 1;\nint two = three;\nint four = five;\n");
  EXPECT_EQ(wrong.rfind("error: broken.cpp does not compile. Look at broken.cpp:2:11 first", 0), 0U)
      << wrong;
  EXPECT_TRUE(holds(wrong, "2:11: error: ")) << wrong;
  EXPECT_TRUE(holds(wrong, "broken.cpp:3:12: error: ")) << "all of it is shown: " << wrong;
  EXPECT_TRUE(holds(failure("#include <lathe/no/such.h>\n"), "Look at broken.cpp:1:10 first"));

  const std::string unlinked = failure("void missing();\nvoid use() { missing(); }\n");
  EXPECT_TRUE(holds(unlinked,
                    "broken.cpp compiles but does not link. Look for a definition of "
                    "`missing()'"))
      << unlinked;
  const std::string none = failure("int one = 1;\n");
  EXPECT_TRUE(holds(none, "is not a Lathe plugin: it has no line LATHE_PLUGIN(...)")) << none;

  EXPECT_TRUE(holds(program.run({"build", "nowhere.cpp"}).error, "nowhere.cpp: does not exist"));
  program.write("notes.txt", "");
  EXPECT_TRUE(holds(program.run({"build", "notes.txt"}).error, "notes.txt: expected a C++ file"));
}

TEST_F(OwnPlugins, BuildDoesOnlyWhatHasToBeDone) {
  build("0.5");
  const std::string first = hash(library());
  EXPECT_TRUE(holds(program.run({"build", "flat.cpp"}).error, "'flat' 1.0.0 is up to date"));
  EXPECT_EQ(hash(library()), first);
  const Json entry = Json::parse(program.run({"build", "flat.cpp", "--json"}).out).at(0);
  EXPECT_EQ(entry.at("up_to_date"), true);
  EXPECT_EQ(entry.at("components"),
            Json::parse(R"([{"kind": "schedule", "name": "flat", "version": "1.0.0"}])"));

  // What it includes of its own counts as well.
  program.write("parts/number.h", "constexpr double one = 2.0;\n");
  const Outcome again = program.run({"build", "flat.cpp"});
  EXPECT_TRUE(holds(again.error, "schedule 'flat' 1.0.0 built in ")) << again.error;
  EXPECT_NE(hash(library()), first);

  // A failed build leaves the good library alone.
  const std::string good = hash(library());
  program.write("flat.cpp", "int one = two;\n");
  EXPECT_EQ(program.run({"build", "flat.cpp"}).code, 1);
  EXPECT_EQ(hash(library()), good);

  const Json shown = Json::parse(program.run({"inspect", "flat", "--json"}).out).at(0);
  EXPECT_EQ(shown.at("manual"), "Schedule \"flat\": the rate times 0.5.\n");
  EXPECT_EQ(shown.at("file"), library());
}

// The manifest of `first`, made with the factor 0.5.
void expect_pins(const Program& program) {
  const Json manifest = read_json(program / "first/manifest.json");
  EXPECT_EQ(manifest.at("host").at("program_sha256"), sha256_of_file(LATHE_BUILD "/bin/lathe"));
  EXPECT_EQ(manifest.at("host").at("library_sha256"),
            sha256_of_file(LATHE_BUILD "/lib/liblathe.so"));
  std::size_t pinned = 0;
  for (const Json& plugin : manifest.at("plugins")) {
    if (!plugin.contains("file")) continue;
    ++pinned;
    EXPECT_EQ(plugin.at("sha256"), sha256_of_file(plugin.at("file"))) << plugin;
    if (plugin.at("name") != "flat") {
      EXPECT_FALSE(plugin.contains("sources")) << plugin;
      continue;
    }
    const Json& sources = plugin.at("sources");
    ASSERT_EQ(sources.size(), 2U);
    const std::string kept = program / ("first/" + sources[0].at("kept").get<std::string>());
    EXPECT_EQ(read_file(kept), flat("0.5"));
    EXPECT_EQ(sources[0].at("sha256"), sha256(flat("0.5")));
    EXPECT_TRUE(holds(sources[1].at("kept"), "/parts/number.h")) << sources;
  }
  EXPECT_EQ(pinned, 5U);  // backend, dataset, model, objective, schedule
}

// What a run keeps that began with the factor 0.5 and went on at `step` with 0.25.
void expect_restart(const Program& program, std::int64_t step) {
  const Json manifest = read_json(program / "run/manifest.json");
  ASSERT_EQ(manifest.at("restarts").size(), 1U);
  const Json& restart = manifest.at("restarts")[0];
  EXPECT_EQ(restart.at("step"), step);
  std::size_t seen = 0;
  for (const Json* part : {&manifest, &restart}) {
    for (const Json& plugin : part->at("plugins")) {
      if (plugin.at("name") != "flat") continue;
      const std::string kept = plugin.at("sources")[0].at("kept");
      EXPECT_EQ(read_file(program / ("run/" + kept)), flat(part == &manifest ? "0.5" : "0.25"));
      ++seen;
    }
  }
  EXPECT_EQ(seen, 2U);
}

TEST_F(OwnPlugins, ARunPinsItsCodeLockedRefusesDriftAndARestartNotesIt) {
  build("0.5");
  const std::string before = hash(library());
  ASSERT_EQ(run({"--folder", "first"}).code, 0);
  expect_pins(program);
  EXPECT_EQ(run({"--folder", "same", "--locked", "first", "seed=9"}).code, 0);
  EXPECT_EQ(run({"--folder", "file", "--locked", "first/manifest.json"}).code, 0);
  EXPECT_TRUE(holds(run({"--locked", "first", "data=sums"}).error, "the dataset 'sums' ("));
  Json manifest = read_json(program / "first/manifest.json");
  manifest["host"]["program_sha256"] = std::string(64, '0');
  program.write("host.json", manifest.dump());
  EXPECT_TRUE(holds(run({"--folder", "other", "--locked", "host.json"}).error,
                    "the host program has changed: pinned " + std::string(64, '0')));

  const Program::Child child = program.start(
      {"run", "tiny.toml", "schedule=flat", "--folder", "run", "train.steps=1000000", "-q"});
  const std::string metrics = program / "run/metrics.jsonl";
  for (int tries = 0; tries < 4000; ++tries) {
    if (exists(metrics) && !read_file(metrics).empty()) break;
    usleep(5000);
  }
  kill(child.process, SIGTERM);
  ASSERT_EQ(Program::finish(child).code, 75);

  build("0.25");
  const Outcome changed = run({"--folder", "other", "--locked", "first"});
  EXPECT_EQ(changed.code, 1);
  EXPECT_TRUE(
      holds(changed.error,
            "E110 locked to first, but\n  the schedule 'flat' has changed: pinned " + before))
      << changed.error;
  EXPECT_TRUE(holds(changed.error, "here " + hash(library()) + " (")) << changed.error;
  EXPECT_FALSE(exists(program / "other/metrics.jsonl"));
  EXPECT_EQ(program.run({"resume", "run", "--locked"}).code, 1);

  const Json status = read_json(program / "run/status");
  const auto step = status.at("step").get<std::int64_t>();
  const Outcome resumed = program.run({"resume", "run", "train.steps=" + std::to_string(step + 3)});
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_TRUE(
      holds(resumed.error, "going on, though the schedule 'flat' has changed: pinned " + before))
      << resumed.error;
  expect_restart(program, step);
}

// Not even the constructors of its statics, which the system runs when it loads a library.
TEST_F(OwnPlugins, LockedRefusesBeforeAnythingOfAChangedPluginRuns) {
  build("0.5");
  ASSERT_EQ(run({"--folder", "first"}).code, 0);
  program.write("flat.cpp",
                "#include <cstdio>\n" + flat("0.5") +
                    "static const int told = std::fclose(std::fopen(\"ran\", \"w\"));\n");
  ASSERT_EQ(program.run({"build", "flat.cpp"}).code, 0);
  // Without its sidecar it would have to be asked.
  filesystem::remove(program / "data/lathe/plugins/flat.lathe.json");
  filesystem::remove_all(program / "cache");
  filesystem::remove(program / "ran");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--folder", "other", "--locked", "first"},
        {"--folder", "other", "--locked", "first/manifest.json"}}) {
    const Outcome refused = run(words);
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(holds(refused.error, "E110 locked to first")) << refused.error;
  }
  EXPECT_EQ(program.run({"resume", "first", "--locked"}).code, 1);
  EXPECT_FALSE(exists(program / "ran"));
  EXPECT_EQ(run({"--folder", "other"}).code, 0);
  EXPECT_TRUE(exists(program / "ran")) << "it would never have told";
}

TEST_F(OwnPlugins, LockedRefusesOtherData) {
  const std::vector<std::string> words = {
      "run",          "tiny.toml",     "data=text",         "data.file=a.txt",
      "feed=windows", "train.steps=3", "sample.prompts=[]", "-q"};
  std::string text;
  for (int i = 0; i < 200; ++i) text += "a few more words to learn from, ";
  program.write("a.txt", text);
  std::vector<std::string> first = words;
  first.insert(first.end(), {"--folder", "first"});
  ASSERT_EQ(program.run(first).code, 0) << program.run(first).error;
  program.write("a.txt", text + "more");
  std::vector<std::string> second = words;
  second.insert(second.end(), {"--folder", "second", "--locked", "first"});
  const Outcome outcome = program.run(second);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(holds(outcome.error, "the data file 1 has changed: pinned " + sha256(text)))
      << outcome.error;
  EXPECT_TRUE(holds(outcome.error, "here " + sha256(text + "more"))) << outcome.error;
}

}  // namespace
}  // namespace lathe::testing
