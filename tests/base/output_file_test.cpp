// Files that users name for output.
#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/output_file.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/temporary_folder.h"

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
using testing::error_of;
using testing::TemporaryFolder;

TEST(OutputFile, ARegularFileAppearsWhole) {
  const TemporaryFolder folder;
  const std::string path = folder / "out";
  write_output(path, "old");
  {
    OutputFile file(path);
    file.write("new");
    EXPECT_EQ(read_file(path), "old");
  }
  EXPECT_EQ(read_file(path), "old");
  write_output(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(list_folder(real_files(), folder.path()), std::vector<std::string>{"out"});
}

TEST(OutputFile, ALinkStaysAndItsTargetIsReplaced) {
  const TemporaryFolder folder;
  make_folders(real_files(), folder / "far");
  write_output(folder / "far/there", "old");
  filesystem::create_symlink("far/there", folder / "there");
  filesystem::create_symlink("far/new", folder / "new");
  filesystem::create_symlink(folder / "there", folder / "twice");
  for (const auto& [link, target] :
       {std::pair("there", "far/there"), {"new", "far/new"}, {"twice", "far/there"}}) {
    write_output(folder / link, link);
    EXPECT_TRUE(filesystem::is_symlink(folder / link)) << link;
    EXPECT_TRUE(filesystem::is_regular_file(filesystem::symlink_status(folder / target))) << link;
    EXPECT_EQ(read_file(folder / target), link);
  }
}

TEST(OutputFile, APipeIsWrittenTo) {
  const TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  filesystem::create_symlink("pipe", folder / "link");
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  for (const char* name : {"pipe", "link"}) {
    write_output(folder / name, "text");
    char text[8] = {};
    EXPECT_EQ(read(reader, text, sizeof text), 4);
    EXPECT_STREQ(text, "text");
  }
  close(reader);
  EXPECT_TRUE(filesystem::is_fifo(path));
}

TEST(OutputFile, DevicesAndFoldersStay) {
  write_output("/dev/null", "text");
  EXPECT_TRUE(filesystem::is_character_file("/dev/null"));
  EXPECT_NE(error_of([] { write_output("/dev/full", "text"); }).find("cannot write /dev/full"),
            std::string::npos);
  EXPECT_TRUE(filesystem::is_character_file("/dev/full"));
  const TemporaryFolder folder;
  EXPECT_NE(error_of([&] { write_output(folder.path(), "text"); }).find("Is a directory"),
            std::string::npos);
}

// As with `lathe ... --jsonl /dev/stdout >> file`.
TEST(OutputFile, AnOpenFileIsAddedTo) {
  const TemporaryFolder folder;
  write_output(folder / "file", "before,");
  const int file = open((folder / "file").c_str(), O_WRONLY | O_APPEND);
  write_output(cat("/dev/fd/", file), "after");
  close(file);
  EXPECT_EQ(read_file(folder / "file"), "before,after");
}

}  // namespace
}  // namespace lathe
