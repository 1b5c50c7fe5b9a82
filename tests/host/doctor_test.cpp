// lathe doctor, and what a run says where its backend is missing.
#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/json.h>

#include "host/program.h"

namespace lathe::testing {
namespace {

const Json& named(const Json& list, const std::string& name) {
  for (const Json& entry : list) {
    if (entry.at("name") == name) return entry;
  }
  fail("there is no ", name);
}

TEST(Doctor, SaysWhatTheMachineHasAndLacks) {
  Program program;
  const Outcome outcome = program.run({"doctor", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  const Json facts = Json::parse(outcome.out);
  EXPECT_GT(facts.at("host").at("memory_mib").get<std::int64_t>(), 0);
  EXPECT_GT(facts.at("host").at("threads").get<int>(), 0);
  const Json& reference = named(facts.at("backends"), "reference");
  EXPECT_TRUE(reference.at("works").get<bool>());
  EXPECT_EQ(reference.at("device"), "host memory, plain loops, 1 thread");
  const Json& driver = named(facts.at("gpu").at("libraries"), "driver");
  EXPECT_EQ(driver.at("file"), "libcuda.so.1");
  EXPECT_EQ(driver.contains("advice"), !driver.at("found").get<bool>());
  for (const Json& fault : facts.at("plugins").at("faults")) {
    EXPECT_NE(fault.at("reason"), "") << fault.at("name");
  }
}

TEST(Doctor, AMissingBackendNamesThoseThatWork) {
  Program program;
  const Json facts = Json::parse(program.run({"doctor", "--json"}).out);
  if (facts.at("backends").dump().find("\"cuda\"") == std::string::npos)
    GTEST_SKIP() << "skipped: built without nvcc";
  if (named(facts.at("backends"), "cuda").at("works").get<bool>()) {
    GTEST_SKIP() << "skipped: this machine has a GPU";
  }
  program.write("a.toml", "[data]\nuse = \"sums\"\n[tokenizer]\nuse = \"chars\"\n");
  const Outcome outcome = program.run({"run", "a.toml", "backend=cuda"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.error.find("backend 'cuda' is unavailable: "), std::string::npos)
      << outcome.error;
  EXPECT_NE(outcome.error.find("Backends that work on this machine: onednn, reference"),
            std::string::npos)
      << outcome.error;
}

}  // namespace
}  // namespace lathe::testing
