#include <gtest/gtest.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>

#include "temporary_folder.h"

namespace lathe {
namespace {

TEST(Hash, Sha256KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().update("a").update("bc").hex(), sha256("abc"));
  EXPECT_EQ(Sha256().update("abc").first_word(), 0xba7816bf8f01cfeau);
}

TEST(Hash, Sha256OfFile) {
  const testing::TemporaryFolder folder;
  const std::string text(1000000, 'a');
  write_durably(folder / "f", text);
  EXPECT_EQ(sha256_of_file(folder / "f"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, Crc32cKnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(masked_crc(crc32c("123456789")), 0xC78AB0E5u);
  EXPECT_EQ(masked_crc(crc32c("\x1a\x11"
                              "CRC test, one two")),
            0x5794D08Au);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

}  // namespace
}  // namespace lathe
