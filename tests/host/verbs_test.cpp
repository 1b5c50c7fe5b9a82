#include "program.h"

#include <lathe/base/error.h>
#include <lathe/base/json.h>

#include <algorithm>

namespace lathe::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Verbs : public ::testing::Test {
 protected:
  Verbs() { program.write("tiny.toml", tiny); }
  Program program;
};

TEST_F(Verbs, EachHasHelpOnStandardOutput) {
  for (const std::string verb : {"run", "resume", "check", "show", "generate", "score", "audit",
                                 "plugins", "inspect", "new", "build", "tokenizer"}) {
    const Outcome outcome = program.run({verb, "--help"});
    EXPECT_EQ(outcome.code, 0) << verb;
    EXPECT_EQ(outcome.out.rfind("usage: lathe " + verb, 0), 0U) << outcome.out;
    EXPECT_TRUE(holds(outcome.out, "--quiet")) << verb;
    EXPECT_EQ(outcome.error, "") << verb;
    EXPECT_TRUE(holds(program.run({"help"}).out, "  " + verb + " ")) << verb;
  }
}

TEST_F(Verbs, AFullDiskOnStandardOutputIsAFailure) {
  const auto full = [] { dup2(open("/dev/full", O_WRONLY), 1); };
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--version"}, {"plugins"}, {"plugins", "--json"}, {"show", "tiny.toml"}}) {
    const Outcome outcome = program.run(words, full);
    EXPECT_EQ(outcome.code, 1) << words[0];
    EXPECT_TRUE(holds(outcome.error, "error: cannot write standard output")) << outcome.error;
  }
  EXPECT_EQ(program.run({"trian"}, full).code, 2);
}

// As in `lathe show FILE | head -1`, whether or not the signal is heeded.
TEST_F(Verbs, AReaderThatHasGoneAwayIsNone) {
  for (const bool heeded : {true, false}) {
    const Outcome outcome = program.run({"show", "tiny.toml"}, [&] {
      int ends[2];
      if (pipe(ends) != 0) _exit(124);
      dup2(ends[1], 1);
      close(ends[0]);
      close(ends[1]);
      signal(SIGPIPE, heeded ? SIG_DFL : SIG_IGN);
    });
    EXPECT_EQ(outcome.code, heeded ? 128 + SIGPIPE : 0);
    EXPECT_EQ(outcome.error, "");
  }
}

TEST_F(Verbs, WrongUsageIsTwo) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"trian"},
                                             {"run"},
                                             {"run", "tiny.toml", "--agian"},
                                             {"generate", "x"},
                                             {"tokenizer", "burn"},
                                             {"generate", "x", "y", "--tokens", "many"}}) {
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.out, "");
    if (words.size() == 2 && words[0] == "generate") {
      EXPECT_EQ(outcome.code, 1);  // the folder is looked at first
      continue;
    }
    EXPECT_EQ(outcome.code, 2) << outcome.error;
    EXPECT_TRUE(holds(outcome.error, "usage: lathe")) << outcome.error;
  }
  EXPECT_TRUE(holds(program.run({"trian"}).error, "there is no verb 'trian'"));
  EXPECT_EQ(program.run({"--version"}).out, "lathe 0.1.0\n");
}

TEST_F(Verbs, AWordThatAVerbDoesNotReadIsWrongUsage) {
  const std::vector<std::vector<std::string>> all = {{"tokenizer", "encode", "T", "a", "extra"},
                                                     {"audit", "RUN", "extra"},
                                                     {"inspect", "gpt", "extra"},
                                                     {"doctor", "extra"},
                                                     {"plugins", "extra"},
                                                     {"play", "RUN", "extra"},
                                                     {"new", "reward", "mine", "folder", "extra"},
                                                     {"test", "mine_test.cpp", "extra"}};
  for (const std::vector<std::string>& words : all) {
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, 2) << words[0] << ": " << outcome.error;
    EXPECT_EQ(outcome.out, "") << words[0];
    EXPECT_TRUE(holds(outcome.error, "there is no use for the word 'extra'")) << outcome.error;
    EXPECT_TRUE(holds(outcome.error, "usage: lathe " + words[0])) << outcome.error;
  }
  EXPECT_FALSE(exists(program / "folder"));
}

TEST_F(Verbs, CheckTakesSeveralFilesAndGoesOnBehindAFault) {
  program.write("bad.toml", tiny + std::string("[schedule]\nwarmpu = 8\n"));
  program.write("own.toml", tiny + std::string("[plugins]\nsort = 'sort.so'\n"));
  program.write("last.toml", tiny);
  const Outcome outcome =
      program.run({"check", "tiny.toml", "bad.toml", "own.toml", "last.toml", "train.steps=3"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(holds(outcome.out, "tiny.toml: every key is known and in range"));
  EXPECT_TRUE(holds(outcome.out, "last.toml: every key is known and in range"));
  EXPECT_FALSE(holds(outcome.out, "bad.toml"));
  EXPECT_TRUE(holds(outcome.error, "bad.toml")) << outcome.error;
  EXPECT_TRUE(holds(outcome.error, "a file with [plugins] of its own is checked alone"))
      << outcome.error;
  // The changes are of all files: the identity is that of each alone.
  EXPECT_TRUE(holds(outcome.out, program.run({"check", "last.toml", "train.steps=3"}).out));
}

TEST_F(Verbs, CheckListsEveryFaultWithItsPlace) {
  const Outcome good = program.run({"check", "tiny.toml"});
  EXPECT_EQ(good.code, 0);
  EXPECT_TRUE(holds(good.out, "tiny.toml: every key is known and in range; id ")) << good.out;
  EXPECT_EQ(good.error, "");

  const Json json = Json::parse(program.run({"check", "tiny.toml", "--json"}).out);
  EXPECT_EQ(json.at("files"), Json::array({"tiny.toml"}));
  EXPECT_EQ(json.at("folder"),
            "runs/tiny/full-" + json.at("identity").get<std::string>().substr(0, 8) + "/s3");

  program.write("bad.toml",
                "[data]\nuse = \"sort\"\nlenght = 6\n[model]\nwidth = \"wide\"\n[optimizer]\n"
                "rate = -1.0\n");
  const Outcome bad = program.run({"check", "bad.toml"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(bad.out, "");
  EXPECT_TRUE(holds(bad.error,
                    "bad.toml:3:1: unknown key 'lenght' of dataset 'sort'. Did you mean "
                    "'length'? Valid: length, digits, "))
      << bad.error;
  EXPECT_TRUE(holds(bad.error, "bad.toml:5:1: 'width' of model 'gpt'")) << bad.error;
  EXPECT_TRUE(holds(bad.error, "the string \"wide\"")) << bad.error;
  EXPECT_TRUE(holds(bad.error,
                    "bad.toml:7:1: 'rate' of optimizer 'adamw' is -1.0, allowed: at "
                    "least 0"))
      << bad.error;
  const Outcome line = program.run({"check", "tiny.toml", "modle.width=3"});
  EXPECT_TRUE(holds(line.error, "command line 'modle.width=3': unknown key 'modle'")) << line.error;
  const Outcome plugin = program.run({"check", "tiny.toml", "model.use=gtp"});
  EXPECT_TRUE(holds(plugin.error, "E104 no model 'gtp'. Did you mean 'gpt'?")) << plugin.error;
}

TEST_F(Verbs, ShowGivesEveryValueItsOrigin) {
  const Outcome shown =
      program.run({"show", "tiny.toml", "optimizer.beta2=0.5", "schedule=cosine", "--origin"});
  EXPECT_EQ(shown.code, 0) << shown.error;
  EXPECT_TRUE(holds(shown.out, "use = \"sort\"  # tiny.toml:4:1\n")) << shown.out;
  EXPECT_TRUE(holds(shown.out, "beta1 = 0.9  # default\n")) << shown.out;
  EXPECT_TRUE(holds(shown.out, "beta2 = 0.5  # command line 'optimizer.beta2=0.5'\n")) << shown.out;
  const Outcome slot = program.run(
      {"show", "tiny.toml", "schedule=cosine", "schedule.warmup=9", "objective=sft", "--origin"});
  EXPECT_TRUE(holds(slot.out, "use = \"cosine\"  # command line 'schedule=cosine'\n")) << slot.out;
  EXPECT_TRUE(holds(slot.out, "warmup = 9  # command line 'schedule.warmup=9'\n")) << slot.out;
  const Outcome other =
      program.run({"check", "tiny.toml", "train.precision=f32", "train.precision.bits=9"});
  EXPECT_TRUE(holds(other.error, "'precision' of [train]")) << other.error;
  const Json json = Json::parse(program.run({"show", "tiny.toml", "--json"}).out);
  EXPECT_EQ(json.at("model").at("width"), 16);
  EXPECT_EQ(json.at("objective").at("use"), "sft");
  // What is shown is an experiment too, with the same meaning.
  program.write("again.toml", program.run({"show", "tiny.toml"}).out);
  EXPECT_EQ(program.run({"show", "again.toml"}).out, program.run({"show", "tiny.toml"}).out);
}

TEST_F(Verbs, PluginsAndInspect) {
  const Json all = Json::parse(program.run({"plugins", "--json"}).out);
  bool gpt = false;
  for (const Json& entry : all) {
    for (const char* key : {"kind", "name", "version", "state", "reason", "file", "shadowed_by"}) {
      EXPECT_TRUE(entry.contains(key)) << key;
    }
    gpt = gpt || (entry.at("name") == "gpt" && entry.at("kind") == "model" &&
                  entry.at("state") == "ready");
  }
  EXPECT_TRUE(gpt);
  const Outcome models = program.run({"plugins", "--kind", "optimizer"});
  EXPECT_TRUE(holds(models.out, "adamw"));
  EXPECT_FALSE(holds(models.out, "gpt"));

  const Outcome sort = program.run({"inspect", "sort"});
  EXPECT_TRUE(holds(sort.out, "dataset 'sort' 1.0.0")) << sort.out;
  EXPECT_TRUE(holds(sort.out, "[data]\nuse = \"sort\"\nlength = 6\n")) << sort.out;
  const Json json = Json::parse(program.run({"inspect", "sort", "--json"}).out);
  EXPECT_EQ(json.at(0).at("options").at(0).at("name"), "length");
  EXPECT_EQ(json.at(0).at("options").at(0).at("default"), "6");
  // The comment that its file begins with.
  const std::string manual = json.at(0).at("manual");
  EXPECT_EQ(manual.rfind("Dataset \"sort\": digits, then", 0), 0U) << manual;
  EXPECT_TRUE(holds(manual, "no input is ever in both splits.\n")) << manual;
  EXPECT_FALSE(holds(manual, "#include"));
  EXPECT_TRUE(holds(sort.out, manual));
  const Outcome kind = program.run({"plugins", "--kind", "modle"});
  EXPECT_EQ(kind.code, 2);
  EXPECT_EQ(kind.out, "");
  EXPECT_TRUE(holds(kind.error, "no component of the kind 'modle'. Did you mean 'model'? Kinds: "))
      << kind.error;
  const Outcome wrong = program.run({"inspect", "srot"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_TRUE(holds(wrong.error, "there is no component 'srot'. Did you mean 'sort'?"))
      << wrong.error;
}

TEST_F(Verbs, ATokenizerIsTrainedAndUsed) {
  program.write("text.txt", "low lower lowest low lower lowest\n");
  const Outcome made =
      program.run({"tokenizer", "train", "text.txt", "--size", "262", "--out", "words"});
  EXPECT_EQ(made.code, 0) << made.error;
  EXPECT_EQ(made.out, "words/tokenizer.json\n");
  const Outcome ids = program.run({"tokenizer", "encode", "words", "lower low"});
  EXPECT_EQ(ids.code, 0) << ids.error;
  std::vector<std::string> words = {"tokenizer", "decode", "words"};
  for (std::size_t at = 0; at < ids.out.size();) {
    const std::size_t end = ids.out.find_first_of(" \n", at);
    if (end > at) words.push_back(ids.out.substr(at, end - at));
    at = end + 1;
  }
  EXPECT_LT(words.size(), 3 + std::string("lower low").size());  // merges were learnt
  EXPECT_EQ(program.run(words).out, "lower low\n");
  const Json as_json =
      Json::parse(program.run({"tokenizer", "encode", "words", "lower low", "--json"}).out);
  EXPECT_EQ(as_json.at("ids").size(), words.size() - 3);
  EXPECT_EQ(cat(as_json.at("ids").at(0).get<int>()), words[3]);
  words.emplace_back("--json");
  EXPECT_EQ(program.run(words).out, "{\"text\":\"lower low\"}\n");
  EXPECT_TRUE(holds(program.run({"tokenizer", "decode", "words", "9999"}).error,
                    "'9999' is not a token of this tokenizer: expected a number from 0 to "));
  EXPECT_TRUE(holds(program.run({"tokenizer", "encode", "nowhere", "x"}).error, "nowhere"));
}

TEST_F(Verbs, WhatIsMadeOrListedIsToldAsJson) {
  program.write("text.txt", "low lower lowest low lower lowest\n");
  const Json vocabulary =
      Json::parse(program.run({"tokenizer", "train", "text.txt", "--size", "260", "--json"}).out);
  EXPECT_EQ(vocabulary, Json({{"file", "./tokenizer.json"}, {"entries", 260}, {"files", 1}}));

  const Json tests = Json::parse(program.run({"conform", "sort", "--list", "--json"}).out);
  ASSERT_EQ(tests.size(), 1U);
  EXPECT_EQ(tests.at(0).at("kind"), "dataset");
  EXPECT_EQ(tests.at(0).at("name"), "sort");
  const std::string text = program.run({"conform", "sort", "--list"}).out;
  EXPECT_EQ(tests.at(0).at("tests").size(),
            static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) - 1);
  EXPECT_TRUE(holds(text, tests.at(0).at("tests").at(0).at("meaning").get<std::string>()));

  program.write("sort.so", read_file(std::string(LATHE_PLUGINS) + "/sort.so"));
  const Json sidecars = Json::parse(program.run({"sidecar", "sort.so", "--json"}).out);
  EXPECT_EQ(sidecars, Json::array({{{"library", "sort.so"}, {"file", "sort.lathe.json"}}}));
  EXPECT_TRUE(exists(program / "sort.lathe.json"));

  const Json pages = Json::parse(program.run({"plugins", "--markdown", "pages", "--json"}).out);
  ASSERT_FALSE(pages.empty());
  EXPECT_TRUE(exists(program / pages.at(0).get<std::string>()));
}

TEST_F(Verbs, APluginFileMayBeNamed) {
  program.write("named.toml",
                std::string(tiny) + "[plugins]\nsort = \"" + LATHE_PLUGINS + "/sort.so\"\n");
  EXPECT_EQ(program.run({"check", "named.toml"}).code, 0);
  EXPECT_TRUE(holds(program.run({"show", "named.toml"}).out,
                    "[plugins]\nsort = \"" + std::string(LATHE_PLUGINS) + "/sort.so\""));
  program.write("none.toml", std::string(tiny) + "[plugins]\nsort = \"sort.so\"\n");
  const Outcome none = program.run({"check", "none.toml"});
  EXPECT_EQ(none.code, 1);
  EXPECT_TRUE(holds(none.error, "none.toml:34:1: ")) << none.error;
  EXPECT_TRUE(holds(none.error, "/sort.so does not exist")) << none.error;
  program.write("other.toml",
                std::string(tiny) + "[plugins]\nsort = \"" + LATHE_PLUGINS + "/text.so\"\n");
  EXPECT_TRUE(
      holds(program.run({"check", "other.toml"}).error, "does not offer 'sort', only text"));
  program.write("sort.so", std::string(100, 'x'));
  EXPECT_TRUE(holds(program.run({"check", "none.toml"}).error, "is not an ELF library"));
}

}  // namespace
}  // namespace lathe::testing
