#include <gtest/gtest.h>
#include <lathe/base/file.h>
#include <lathe/base/log.h>

#include "temporary_folder.h"

namespace lathe {
namespace {

TEST(Log, PlainLinesWithoutATerminal) {
  ::testing::internal::CaptureStderr();
  log_info("step ", 3, " of {} ", 2.5);  // braces are text, not a format
  log_warning("slow");
  set_log_quiet(true);
  log_info("not shown");
  log_error("bad");
  set_log_quiet(false);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "step 3 of {} 2.5\nwarning: slow\nerror: bad\n");
}

TEST(Log, FileGetsEveryLineWithItsLevel) {
  const testing::TemporaryFolder folder;
  set_log_file(folder / "log.txt");
  set_log_quiet(true);
  ::testing::internal::CaptureStderr();
  log_info("one");
  log_warning("two");
  set_log_file("");
  log_warning("not in the file");
  ::testing::internal::GetCapturedStderr();
  set_log_quiet(false);
  const std::string text = read_file(folder / "log.txt");
  EXPECT_NE(text.find(" info one\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" warning two\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("not in the file"), std::string::npos);
}

}  // namespace
}  // namespace lathe
