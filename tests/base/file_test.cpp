#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <unistd.h>

#include "faulty_files.h"
#include "temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::FaultyFiles;
using testing::TemporaryFolder;

TEST(File, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  std::string text(300000, 'x');
  text[299999] = 'y';
  write_durably(path, text);
  EXPECT_EQ(read_file(path), text);
  write_durably(path, "short");
  EXPECT_EQ(read_file(path), "short");
  EXPECT_EQ(list_folder(real_files(), folder.path()), std::vector<std::string>{"a.txt"});
  const MappedFile mapped(path);
  write_durably(path, "other");  // the mapping keeps the old file
  EXPECT_EQ(static_cast<char>(mapped.bytes()[0]), 's');
  EXPECT_EQ(mapped.bytes().size(), 5u);
}

TEST(File, ErrorsNameOperationPathAndReason) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { read_file(folder / "none"); }),
            "cannot open " + (folder / "none") + ": No such file or directory");
  EXPECT_NE(error_of([&] { MappedFile(folder.path()); }).find("not a regular file"),
            std::string::npos);
  write_durably(folder / "long", "12345");
  EXPECT_NE(error_of([&] { read_file(folder / "long", 4); }).find("longer than the 4 bytes"),
            std::string::npos);
}

TEST(File, FoldersAreMadeAndRemovedWithoutFollowingLinks) {
  const TemporaryFolder folder;
  make_folders(real_files(), folder / "a/b/c");
  EXPECT_TRUE(exists(folder / "a/b/c"));
  make_folders(real_files(), folder / "a/b/c");
  write_durably(folder / "kept", "1");
  ASSERT_EQ(::symlink(folder.path().c_str(), (folder / "a/b/link").c_str()), 0);
  remove_all(real_files(), folder / "a");
  EXPECT_FALSE(exists(folder / "a"));
  EXPECT_TRUE(exists(folder / "kept"));
}

TEST(File, NamesFromDataStayNames) {
  EXPECT_EQ(checked_name("model.safetensors", "index"), "model.safetensors");
  for (const std::string bad : {"", ".", "..", "a/b", "/etc", "a\\b", "a\nb", "../x"}) {
    EXPECT_NE(error_of([&] { checked_name(bad, "index.json"); }).find("index.json: "),
              std::string::npos);
  }
  EXPECT_THROW(checked_name(std::string(256, 'a'), "x"), Error);
  EXPECT_THROW(checked_name(std::string_view("a\0b", 3), "x"), Error);
  EXPECT_EQ(folder_of("a/b"), "a");
  EXPECT_EQ(folder_of("b"), ".");
  EXPECT_EQ(folder_of("/b"), "/");
  EXPECT_EQ(join("/", "b"), "/b");
}

TEST(File, FullDiskTellsNeededAndFree) {
  FaultyFiles files;
  files.fail_at = 2;
  files.error = ENOSPC;
  files.space = 17;
  const std::string text = error_of([&] { write_durably(files, "a", std::string_view("12345")); });
  EXPECT_NE(text.find("No space left on device (5 more bytes needed, 17 bytes free)"),
            std::string::npos)
      << text;
}

// A failure at any operation leaves the old file or, once renamed, the new one; and no other file.
TEST(File, DurableWriteSurvivesEveryFault) {
  for (const int error : {ENOSPC, EIO, EINTR}) {
    for (const bool persistent : {false, true}) {
      if (error == EINTR && persistent) continue;  // a signal for ever is no fault of a disk
      for (int n = 1;; ++n) {
        FaultyFiles files;
        write_durably(files, "a", std::string_view("old"));
        const int before = files.operations;
        files.fail_at = before + n;
        files.error = error;
        files.persistent = persistent;
        bool failed = false;
        try {
          write_durably(files, "a", std::string_view("new"));
        } catch (const Error&) {
          failed = true;
        }
        const bool finished = files.operations < files.fail_at;
        EXPECT_FALSE(failed && error == EINTR) << n;
        EXPECT_TRUE(persistent || files.paths().size() == 1) << n;
        EXPECT_TRUE(failed || files.content("a") == "new") << n;
        EXPECT_TRUE(files.content("a") == "old" || files.content("a") == "new");
        files.crash();
        EXPECT_TRUE(failed || files.content("a") == "new") << n;
        EXPECT_TRUE(files.content("a") == "old" || files.content("a") == "new") << n;
        if (finished) break;
      }
    }
  }
}

TEST(File, DurableWriteSurvivesEveryCrash) {
  for (int n = 1;; ++n) {
    FaultyFiles files;
    write_durably(files, "a", std::string_view("old"));
    files.fail_at = files.operations + n;
    files.persistent = true;
    bool crashed = false;
    try {
      write_durably(files, "a", std::string_view("new"));
    } catch (const Error&) {
      crashed = true;
    }
    files.crash();
    EXPECT_EQ(files.content("a"), crashed ? "old" : "new") << n;
    if (!crashed) break;
  }
}

TEST(File, ShortWritesAreContinued) {
  FaultyFiles files;
  files.fail_at = 1;
  files.persistent = true;
  files.short_write = true;
  files.error = 0;
  write_durably(files, "a", std::string_view("0123456789"));
  EXPECT_EQ(files.content("a"), "0123456789");
  EXPECT_LT(files.operations, 30);
}

// The double itself must forget, or the tests above prove nothing.
TEST(FaultyFiles, ForgetsWhatWasNotSynced) {
  FaultyFiles files;
  {
    File file(files, "a", OpenFor::writing);
    file.write("synced");
    file.sync();
    file.write(" lost");
  }
  files.sync_folder(".");
  { File(files, "b", OpenFor::writing).write("never in a synced folder"); }
  files.crash();
  EXPECT_EQ(files.content("a"), "synced");
  EXPECT_EQ(files.paths(), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace lathe
