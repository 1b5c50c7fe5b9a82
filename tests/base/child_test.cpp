#include <lathe/base/child.h>

#include <gtest/gtest.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace lathe {
namespace {
using How = ChildEnd::How;

TEST(Child, SaysWhatItFoundAndReturns) {
  const std::string much(100000, 'x');  // more than a pipe holds
  int here = 1;
  const ChildEnd end = in_child(
      [&](const Say& say) {
        here = 2;
        say("one ");
        say(much);
        std::printf("printed\n");
        std::fprintf(stderr, "warned\n");
      },
      20);
  EXPECT_EQ(end.how, How::finished);
  EXPECT_EQ(end.said, "one " + much);
  EXPECT_EQ(end.text(), "");
  EXPECT_EQ(here, 1);
  EXPECT_NE(end.output.find("printed\n"), std::string::npos);
  EXPECT_NE(end.output.find("warned\n"), std::string::npos);
}

TEST(Child, ACrashIsToldWithItsSignalAndWhatWasSaidBefore) {
  const ChildEnd end = in_child(
      [](const Say& say) {
        say("phase two");
        std::raise(SIGSEGV);
      },
      20);
  EXPECT_EQ(end.how, How::signalled);
  EXPECT_EQ(end.number, SIGSEGV);
  EXPECT_EQ(end.said, "phase two");
  EXPECT_EQ(end.text(), "ended by signal 11 (SIGSEGV)");
}

TEST(Child, AnExitInTheMiddleIsNoReturnEvenWithCode0) {
  const ChildEnd end = in_child([](const Say&) { std::_Exit(0); }, 20);
  EXPECT_EQ(end.how, How::exited);
  EXPECT_EQ(end.text(), "exited with code 0");
}

TEST(Child, AHangEndsAtTheLimit) {
  for (const bool closes : {false, true}) {
    const ChildEnd end = in_child(
        [&](const Say& say) {
          say("before");
          if (closes) {
            for (int file = 3; file < 50; ++file) close(file);
          }
          std::signal(SIGTERM, SIG_IGN);
          for (;;) pause();
        },
        0.2);
    EXPECT_EQ(end.how, How::timed_out);
    EXPECT_EQ(end.said, "before");
    EXPECT_EQ(end.text(), "did not end within 1 s");
    EXPECT_LT(end.seconds, 10);
  }
}

}  // namespace
}  // namespace lathe
