// Components with one planted fault each, and what a suite says of them.
#pragma once

#include <lathe/conform/conform.h>
#include <lathe/learn/components.h>

#include <gtest/gtest.h>

#include <string>

namespace lathe::testing {

// Everything that a test of the suite says of the component: "" when it passed.
template <class Kind, class Type>
std::string said_of(const std::string& test_name, int level = 5) {
  Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  add_components(registry);
  registry.add<Kind, Type>("planted", "1.0.0");
  const conform::Subject subject{.kind = Kind::kind, .name = "planted", .given = {}};
  conform::Request request;
  request.level = level;
  for (const conform::Test& test : conform::tests_of(Kind::kind)) {
    if (test.name != test_name) continue;
    const conform::Result result = conform::run_test(registry, subject, test, request);
    if (result.verdict == conform::Verdict::passed) return "";
    std::string text = std::string(name_of(result.verdict)) + ": " + result.reason;
    for (const std::string& fault : result.faults) text += fault + "\n";
    return text;
  }
  return "there is no test " + test_name;
}

inline void expect_said(const std::string& said, const std::string& words) {
  EXPECT_NE(said.find(words), std::string::npos) << "said: " << said << "\nexpected: " << words;
}

}  // namespace lathe::testing
