// What the program says when its input is wrong, and what it leaves behind.
#include "program.h"

#include <lathe/base/error.h>
#include <lathe/plugin/core_library.h>

#include <sys/resource.h>

namespace lathe::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class BadInput : public ::testing::Test {
 protected:
  BadInput() { program.write("tiny.toml", tiny); }

  // The message of a run that must fail.
  std::string failure(const std::vector<std::string>& words) {
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.error.find("error: ", outcome.error.find("error: ") + 1), std::string::npos)
        << "said twice: " << outcome.error;
    return outcome.error;
  }
  Program program;
};

TEST_F(BadInput, BrokenToml) {
  program.write("broken.toml", "seed = 1\n[model\nwidth = 3\n");
  const std::string text = failure({"check", "broken.toml"});
  EXPECT_TRUE(holds(text, "broken.toml:2:7: broken TOML: ")) << text;
  EXPECT_TRUE(holds(text, "\n  [model\n        ^")) << text;
}

// Weights know tokens by their ids: as many other characters fit in shape and mean other things.
TEST_F(BadInput, AStartWithAnotherVocabulary) {
  const auto text = [&](const std::string& name, const std::string& letters) {
    std::string all;
    for (int i = 0; i < 100; ++i) all += letters;
    program.write(name, all);
  };
  text("ab.txt", "aabb");
  text("ba.txt", "bbaa");
  text("ac.txt", "aacc");
  text("abc.txt", "aabbc");
  const std::vector<std::string> words = {"run",          "tiny.toml",      "data=text",
                                          "feed=windows", "train.steps=1",  "sample.prompts=[]",
                                          "-q",           "tokenizer=chars"};
  const auto run = [&](const std::string& file, const std::string& folder,
                       const std::string& start) {
    std::vector<std::string> all = words;
    all.insert(all.end(),
               {"data.file=" + file, "--folder", folder, "train.start=\"" + start + "\""});
    return program.run(all);
  };
  ASSERT_EQ(run("ab.txt", "first", "").code, 0) << run("ab.txt", "first", "").error;
  EXPECT_EQ(run("ba.txt", "same", "first").code, 0) << "ids are those of sorted characters";
  for (const std::string& start :
       {std::string("first"), std::string("first/checkpoints/00000001")}) {
    const Outcome other = run("ac.txt", "other", start);
    EXPECT_EQ(other.code, 1);
    EXPECT_TRUE(holds(other.error, "train.start: token 1 is 'b' in ")) << other.error;
    EXPECT_TRUE(holds(other.error, " and 'c' in this run")) << other.error;
  }
  // A check says the same, with the place, and runs nothing.
  const auto check = [&](const std::string& file, const std::string& start) {
    return program.run({"check", "tiny.toml", "data=text", "feed=windows", "tokenizer=chars",
                        "sample.prompts=[]", "data.file=" + file, "train.start=\"" + start + "\""});
  };
  EXPECT_EQ(check("ba.txt", "first").code, 0) << check("ba.txt", "first").error;
  EXPECT_EQ(check("ac.txt", "not_there_yet").code, 0);
  EXPECT_EQ(check("none.txt", "first").code, 0) << "what cannot be read is left to the run";
  for (const char* start : {"first", "first/checkpoints/00000001"}) {
    const Outcome other = check("ac.txt", start);
    EXPECT_EQ(other.code, 1);
    EXPECT_TRUE(holds(other.error, cat("command line 'train.start=\"", start,
                                       "\"': train.start: token 1 is 'b' in ")))
        << other.error;
  }
  EXPECT_TRUE(
      holds(check("abc.txt", "first").error, "has a vocabulary of 4 tokens, this run one of 5"));
  program.write("own.toml", "include = [\"tiny.toml\"]\n[train]\nstart = \"first\"\n");
  const Outcome own = program.run({"check", "own.toml", "data=text", "feed=windows",
                                   "sample.prompts=[]", "data.file=ac.txt", "tokenizer=chars"});
  EXPECT_TRUE(holds(own.error, "own.toml:3:1: train.start: token 1 is 'b'")) << own.error;

  const Outcome more = run("abc.txt", "more", "first");
  EXPECT_EQ(more.code, 1);
  EXPECT_TRUE(holds(more.error, "has a vocabulary of 4 tokens, this run one of 5")) << more.error;
}

TEST_F(BadInput, MissingFiles) {
  EXPECT_TRUE(
      holds(failure({"run", "none.toml"}), "the experiment file 'none.toml' does not exist"));
  program.write("outer.toml", "include = [\"base/inner.toml\"]\n");
  const std::string include = failure({"check", "outer.toml"});
  EXPECT_TRUE(holds(include, "outer.toml:1:")) << include;
  EXPECT_TRUE(holds(include, "base/inner.toml")) << include;
  const std::string data =
      failure({"run", "tiny.toml", "data=text", "data.file=none.txt", "feed=windows"});
  EXPECT_TRUE(holds(data, "command line 'data.file=none.txt'")) << data;
  EXPECT_TRUE(holds(data, "none.txt")) << data;
  EXPECT_TRUE(holds(failure({"resume", "none"}), "none: is not a run (it has no resolved.toml)"));
}

TEST_F(BadInput, TextThatIsNotUtf8) {
  program.write("bad.txt", "good\nbad \xff\n");
  const std::string text =
      failure({"run", "tiny.toml", "data=text", "data.file=bad.txt", "feed=windows"});
  EXPECT_TRUE(holds(text, "bad.txt")) << text;
  EXPECT_TRUE(holds(text, "2")) << text;
  EXPECT_TRUE(holds(text, "UTF-8")) << text;
}

TEST_F(BadInput, AContextShorterThanTheRows) {
  const std::string text = failure({"run", "tiny.toml", "model.context=8"});
  EXPECT_TRUE(holds(text, "context 8 is shorter than the rows of 16 tokens")) << text;
  EXPECT_TRUE(holds(text, "raise model.context or lower train.length")) << text;
}

// OpenMP does not survive a team of a hundred thousand.
TEST_F(BadInput, MoreThreadsThanAnyMachineHas) {
  const std::string text = failure({"check", "tiny.toml", "train.threads=4097"});
  EXPECT_TRUE(holds(text, "'threads' of [train] is 4097, allowed: at least 0, at most 4096"))
      << text;
  EXPECT_EQ(program.run({"check", "tiny.toml", "train.threads=4096"}).code, 0);
}

TEST_F(BadInput, APromptThatTheTokenizerLacksStopsBeforeTheFirstStep) {
  const std::string text =
      failure({"run", "tiny.toml", "sample.prompts=['2x']", "--folder", "run"});
  EXPECT_TRUE(holds(text, "the character U+0078 'x' at line 1, column 2")) << text;
  EXPECT_FALSE(exists(program / "run/metrics.jsonl"));
}

TEST_F(BadInput, AnExampleLongerThanTheRows) {
  const std::string text = failure({"run", "tiny.toml", "train.length=5"});
  EXPECT_TRUE(holds(text, "too_long")) << text;
}

TEST_F(BadInput, WeightsOfAnotherVocabulary) {
  ASSERT_EQ(program.run({"run", "tiny.toml", "--folder", "first", "train.steps=1", "-q"}).code, 0);
  const std::string text =
      failure({"run", "tiny.toml", "data.digits=9", "train.start=first", "-q"});
  EXPECT_TRUE(holds(text, "has a vocabulary of 5 tokens, this run one of 11")) << text;
  const std::string wide =
      failure({"run", "tiny.toml", "model.width=32", "train.start=first", "-q"});
  EXPECT_TRUE(holds(wide, "token_embedding")) << wide;
}

TEST_F(BadInput, PluginsThatDoNotFit) {
  make_folders(real_files(), program / "plugins");
  const std::string good = read_file(std::string(LATHE_PLUGINS) + "/sort.so");
  std::string other = good;
  for (std::size_t at = 0; (at = other.find(header_hash(), at)) != std::string::npos;) {
    other.replace(at, 4, "0000");
  }
  program.write("plugins/sort.so", other);
  // The folder's copy is refused, and said to be so; the installed one is taken.
  const Outcome listed = program.run({"plugins", "--plugin-path", "plugins"});
  EXPECT_TRUE(holds(listed.out, "rejected")) << listed.out;
  EXPECT_TRUE(holds(listed.out, "E102 plugin 'sort' is built with other public headers"));
  const std::string named = failure({"check", "tiny.toml", "+plugins.sort=plugins/sort.so"});
  EXPECT_TRUE(holds(named,
                    "command line '+plugins.sort=plugins/sort.so': E102 plugin 'sort' is "
                    "built with other public headers"))
      << named;

  std::string missing = good;
  const std::string library = "libstdc++.so.6";
  missing.replace(missing.find(library), library.size(), "libstdc++.so.X");
  program.write("plugins/sort.so", missing);
  const std::string text = failure({"check", "tiny.toml", "--plugin-path", "plugins"});
  EXPECT_TRUE(holds(text, "E103 cannot load the plugin file ")) << text;
  EXPECT_TRUE(holds(text, "libstdc++.so.X")) << text;
}

// A limit on the size of files stands in for a full disk.
TEST_F(BadInput, ADiskThatIsFull) {
  const auto limited = [] {
    const struct rlimit small = {20000, 20000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
  };
  const std::vector<std::string> words = {"run", "tiny.toml", "--folder", "run", "-q"};
  const Outcome full = program.run(words, limited);
  EXPECT_EQ(full.code, 1);
  EXPECT_TRUE(holds(full.error, "optimizer.safetensors")) << full.error;
  for (const std::string& name : list_folder(real_files(), program / "run/checkpoints")) {
    EXPECT_NE(name.front(), '0') << name << " is half written";
  }
  EXPECT_TRUE(holds(read_file(program / "run/status"), "\"failed\""));
  EXPECT_TRUE(holds(read_file(program / "run/log.txt"), "optimizer.safetensors"));
  EXPECT_EQ(program.run(words).code, 0);  // with room again
}

}  // namespace
}  // namespace lathe::testing
