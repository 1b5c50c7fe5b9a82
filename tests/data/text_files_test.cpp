#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/data/decompress.h>
#include <lathe/data/examples.h>
#include <lathe/data/text_files.h>

#include "base/temporary_folder.h"

namespace lathe {

namespace {

using testing::error_of;
using testing::TemporaryFolder;

void write(const std::string& path, std::string_view bytes) {
  File file(real_files(), path, OpenFor::writing);
  file.write(bytes);
  file.close();
}

std::string bytes_of(std::string_view hexadecimal) {
  std::string bytes;
  for (std::size_t i = 0; i < hexadecimal.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hexadecimal.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// "one\ntwo\n" by gzip -n9 and xz -9, and "three\n" by gzip -n9.
const std::string gzipped = bytes_of("1f8b0800000000000203cbcf4be52a29cfe70200e60bba1208000000");
const std::string gzipped_three = bytes_of("1f8b08000000000002032bc9284a4de50200d8c546ff06000000");
const std::string xz = bytes_of(
    "fd377a585a000004e6d6b446020021011c00000010cf58cc0100076f6e650a74776f0a0051ab9eaf577570490001"
    "2008bb19d9bb1fb6f37d010000000004595a");

TEST(TextFiles, ReadsOneFileWithItsHash) {
  const TemporaryFolder folder;
  write(folder / "a.txt", "\xEF\xBB\xBFone\r\ntwo\n");
  write(folder / "b", "one\ntwo\n");
  const TextFile marked = read_text_file(folder / "a.txt");
  EXPECT_EQ(marked.text, "one\r\ntwo\n");
  EXPECT_EQ(marked.file.bytes, 12u);
  const TextFile plain = read_text_file(folder / "b");
  EXPECT_EQ(plain.file.sha256, "c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8");
  EXPECT_EQ(plain.file.path, folder / "b");
}

TEST(TextFiles, ReadsAFolderByName) {
  const TemporaryFolder folder;
  write(folder / "b.txt", "second");
  write(folder / "a.txt", "first");
  write(folder / "c.txt.gz", gzipped);
  write(folder / "README.md", "not text");
  const std::vector<TextFile> files = read_text_files(folder.path());
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].text, "first");
  EXPECT_EQ(files[1].text, "second");
  EXPECT_EQ(files[2].text, "one\ntwo\n");
  EXPECT_EQ(files[2].file.bytes, 28u);  // as it lies on the disk
}

TEST(TextFiles, NamesThePlaceOfBadBytes) {
  const TemporaryFolder folder;
  write(folder / "a.txt", "one\ntwo\ncaf\xE9 au lait\n");
  EXPECT_EQ(error_of([&] { read_text_file(folder / "a.txt"); }),
            (folder / "a.txt") +
                ":3: not UTF-8 at byte 11 (0xE9): convert the file first, for example with: iconv "
                "-f latin1 -t utf-8 FILE > NEW");
}

TEST(TextFiles, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { read_text_files(folder.path()); }),
            folder.path() + ": no file in this folder ends in .txt, .txt.gz or .txt.xz");
  const std::string error = error_of([&] { read_text_files(folder / "none.txt"); });
  EXPECT_NE(error.find(folder / "none.txt"), std::string::npos) << error;
  EXPECT_NE(error.find("No such file"), std::string::npos) << error;
}

TEST(TextFiles, InputPathNamesTheOption) {
  const TemporaryFolder folder;
  const Config options = parse_toml("use = \"text\"\nfile = \"none.txt\"\n", "exp.toml");
  EXPECT_EQ(error_of([&] { input_path(options, "file", folder.path()); }),
            "exp.toml:2:1: file = \"none.txt\": there is no " + (folder / "none.txt") +
                " (a relative path starts at " + folder.path() + ")");
  write(folder / "none.txt", "now it is there");
  EXPECT_EQ(input_path(options, "file", folder.path()), folder / "none.txt");
}

TEST(Decompress, ReadsGzipAndXz) {
  EXPECT_EQ(decompressed(gzipped, "a.gz"), "one\ntwo\n");
  EXPECT_EQ(decompressed(gzipped + gzipped_three, "a.gz"), "one\ntwo\nthree\n");
  EXPECT_EQ(decompressed(xz, "a.xz"), "one\ntwo\n");
  EXPECT_EQ(decompressed(xz + xz, "a.xz"), "one\ntwo\none\ntwo\n");
  EXPECT_EQ(decompressed("plain", "a.txt"), "plain");
}

TEST(Decompress, SaysWhatIsDamaged) {
  const std::string advice = "): fetch or compress it again";
  EXPECT_EQ(error_of([] { decompressed(gzipped.substr(0, 20), "a.gz"); }),
            "a.gz: this gzip file is damaged (cut off" + advice);
  EXPECT_EQ(error_of([] { decompressed(xz.substr(0, 40), "a.xz"); }),
            "a.xz: this xz file is damaged (cut off" + advice);
  EXPECT_EQ(error_of([] { decompressed("plain text", "a.gz"); }),
            "a.gz: this gzip file is damaged (incorrect header check" + advice);
  EXPECT_EQ(error_of([] { decompressed("plain text, longer than a header", "a.xz"); }),
            "a.xz: this xz file is damaged (wrong format or checksum" + advice);
  std::string flipped = gzipped;
  flipped[flipped.size() - 6] ^= 1;  // in the checksum
  EXPECT_EQ(error_of([&] { decompressed(flipped, "a.gz"); }),
            "a.gz: this gzip file is damaged (incorrect data check" + advice);
}

TEST(Decompress, StopsAtTheLimit) {
  EXPECT_EQ(decompressed(gzipped, "a.gz", 8), "one\ntwo\n");
  EXPECT_EQ(error_of([] { decompressed(gzipped, "a.gz", 7); }),
            "a.gz: unpacks to more than 7 bytes: unpack it yourself and split it");
  EXPECT_EQ(error_of([] { decompressed(xz, "a.xz", 7); }),
            "a.xz: unpacks to more than 7 bytes: unpack it yourself and split it");
}

TEST(Examples, WeighsResponsesOrAll) {
  MarkedTokens tokens;
  tokens.ids = {4, 5, 6};
  tokens.is_response = {0, 1, 1};
  const Example responses = marked_example(tokens, 1, false);
  EXPECT_EQ(responses.tokens, (std::vector<std::int32_t>{4, 5, 6}));
  EXPECT_EQ(responses.weights, (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(responses.prompt, 1);
  EXPECT_EQ(marked_example(tokens, 1, true).weights, (std::vector<float>{1, 1, 1}));
}

TEST(Examples, SharesAsNanoGptDoes) {
  EXPECT_EQ(training_share(1115394, 0.1), 1003854);
  EXPECT_EQ(training_share(7, 0), 7);
  EXPECT_EQ(error_of([] { demand_index(5, 5, Split::validation, "dataset sums"); }),
            "dataset sums: there is no validation example 5: there are 5");
}

}  // namespace

}  // namespace lathe
