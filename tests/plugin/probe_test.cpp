// The first sight of a plugin: what dies or hangs does so in a child process, and the reason stays.
#include "fixtures/shape.h"
#include "plugin_folder.h"

#include <lathe/plugin/registry.h>

#include <cstdlib>

namespace lathe {
namespace {
using testing::error_of;
using testing::is_mapped;
using testing::PluginFolder;

// What declares its options wrongly.
template <int way>
class Wrong final : public Shape {
 public:
  struct Options : Keys {
    int first = way == 0 ? key("Size", 1, "not lower case") : key("size", 1, "a size");
    int second = way == 1 ? key("size", 2, "twice") : key("other", 2, "another");
    int third = way == 2 ? key("use", 3, "chooses the plugin") : key("third", 3, "a third");
    int fourth = way == 3 ? key("fourth", 4, "") : key("fourth", 4, "a fourth");
    int fifth = way == 4 ? key("fifth", 5, "out of range", at_most(4)) : key("fifth", 5, "a fifth");
  };
  explicit Wrong(const Config&) {}
  int area() const override { return 0; }
};

template <int way>
std::string fault_of_wrong() {
  static constexpr Stamp stamp = make_stamp(Shape::kind, 2, "wrong", "1.0.0");
  static constexpr Descriptor wrong = descriptor_of<Shape, Wrong<way>>(stamp);
  return error_of([] { description_of(wrong, ""); });
}

TEST(Declarations, ThatConfigsCannotRelyOnAreRefused) {
  const std::string start = "E108 shape 'wrong' declares options wrongly: ";
  const std::string end = ". Correct its source and build it again";
  EXPECT_EQ(fault_of_wrong<0>(),
            start + "'Size' must be named in lower_case (a-z, 0-9 and _)" + end);
  EXPECT_EQ(fault_of_wrong<1>(), start + "'size' is declared twice" + end);
  EXPECT_EQ(fault_of_wrong<2>(), start + "'use' has the name that chooses the plugin" + end);
  EXPECT_EQ(fault_of_wrong<3>(), start + "'fourth' has no meaning" + end);
  EXPECT_EQ(fault_of_wrong<4>(),
            "E108 shape 'wrong' cannot list its options: a declared default breaks its own rule: "
            "default: fifth is 5, allowed: at most 4.. Correct its Options and build it again");
}

class Probes : public ::testing::Test {
 protected:
  Probes() : library(folder.copy("shape_trouble.so", "trouble.so")) {}
  ~Probes() override {
    unsetenv("SHAPE_TROUBLE");
    unsetenv("LATHE_PROBE_LIMIT");
  }
  PluginPlaces places() const {
    return {.folders = {folder.path()}, .user_folders = false, .probe_folder = kept()};
  }
  std::filesystem::path kept() const { return folder.path() / "cache/probes"; }
  std::string refusal(const char* wish) {
    setenv("SHAPE_TROUBLE", wish, 1);
    Registry registry({.folders = {folder.path()}, .user_folders = false});
    const std::string text = error_of([&] { registry.describe("shape", "trouble"); });
    EXPECT_EQ(registry.states().at(0).state, "rejected");
    EXPECT_FALSE(is_mapped(library));
    return text;
  }

  PluginFolder folder;
  std::filesystem::path library;
};

TEST_F(Probes, ACrashAHangAndAnExitAreReasons) {
  const std::string end = ". Retry: lathe plugins --probe (file " + library.string() + ")";
  EXPECT_EQ(refusal("crash"),
            "E106 plugin 'trouble' died in its probe (SIGSEGV, phase: create)" + end);
  EXPECT_EQ(
      refusal("exit"),
      "E106 plugin 'trouble' ended the process with code 3 in its probe (phase: create)" + end);
  setenv("LATHE_PROBE_LIMIT", "0.3", 1);
  EXPECT_EQ(
      refusal("hang"),
      "E106 plugin 'trouble' did not end its probe within 1 s (timeout, phase: create)" + end);
}

TEST_F(Probes, AConstructorMayRefuseItsDefaults) {
  for (const char* wish : {"refuse", "absent"}) {
    setenv("SHAPE_TROUBLE", wish, 1);
    const Probe probe = probe_library(library);
    EXPECT_EQ(probe.fault, "");
    EXPECT_EQ(probe.sidecar.components.at(0).name, "trouble");
    EXPECT_EQ(probe.output, "trouble begins\n");
    EXPECT_EQ(probe.absent.size(), wish == std::string("absent") ? 1U : 0U);
    for (const auto& [name, reason] : probe.absent) {
      EXPECT_EQ(name, "shape 'trouble'");
      EXPECT_EQ(reason, "no such device");
    }
  }
}

TEST_F(Probes, TheReasonIsKeptUntilTheFileChangesOrItIsAskedAnew) {
  setenv("SHAPE_TROUBLE", "crash", 1);
  std::string first;
  {
    Registry registry(places());
    first = error_of([&] { registry.describe("shape", "trouble"); });
  }
  unsetenv("SHAPE_TROUBLE");
  {
    Registry registry(places());  // another run of the program
    EXPECT_EQ(error_of([&] { registry.describe("shape", "trouble"); }), first);
    EXPECT_EQ(registry.states().at(0).state, "rejected");
    const std::string reason = registry.states().at(0).reason;
    const std::size_t at = reason.find(". Log: ");
    ASSERT_NE(at, std::string::npos) << reason;
    const std::string log = reason.substr(at + 7);
    EXPECT_EQ(log.rfind((kept() / "").string(), 0), 0U) << log;
    EXPECT_EQ(read_file(log), reason.substr(0, at) + "\ntrouble begins\n");
    registry.probe_all();
    EXPECT_EQ(registry.states().at(0).state, "ready");
    EXPECT_EQ(registry.create<Shape>("trouble", Config())->area(), 7);
  }
  setenv("SHAPE_TROUBLE", "absent", 1);
  {
    Registry registry(places());
    registry.probe_all();
    EXPECT_EQ(registry.states().at(0).state, "unavailable");
    EXPECT_EQ(registry.states().at(0).reason, "no such device");
  }
}

TEST_F(Probes, AChangedFileIsAskedAnew) {
  setenv("SHAPE_TROUBLE", "crash", 1);
  const auto other = folder.path() / "other.so";
  std::filesystem::copy_file(library, other);
  std::filesystem::remove(library);
  {
    Registry registry(places());
    EXPECT_EQ(error_of([&] { registry.describe("shape", "trouble"); }).rfind("E106", 0), 0U);
  }
  unsetenv("SHAPE_TROUBLE");
  write_durably(other.string(), read_file(other.string()) + "x");
  Registry registry(places());
  EXPECT_EQ(registry.states().at(0).state, "ready");
  EXPECT_EQ(registry.describe("shape", "trouble").name, "trouble");
}

TEST_F(Probes, WhatTheSystemCannotLoadIsNotKept) {
  std::string bytes = read_file(library.string());
  const std::string needed = "libstdc++.so.6";
  bytes.replace(bytes.find(needed), needed.size(), "libstdc++.so.X");
  write_durably(library.string(), bytes);
  Registry registry(places());
  const std::string text = error_of([&] { registry.describe("shape", "trouble"); });
  EXPECT_EQ(text.rfind("E103 cannot load the plugin file " + library.string(), 0), 0U) << text;
  EXPECT_FALSE(std::filesystem::exists(kept()));
}

}  // namespace
}  // namespace lathe
