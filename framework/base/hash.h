// SHA-256 (identity of files and configs) and CRC-32C (TensorBoard records).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

class FileSystem;

// FIPS 180-4, fed piece by piece. hex() and first_word() end the message.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text);
  // 64 lower-case hexadecimal digits.
  std::string hex();
  // The first eight bytes as a big-endian number, to key random streams.
  std::uint64_t first_word();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);
std::string sha256_of_file(FileSystem& files, const std::string& path);
std::string sha256_of_file(const std::string& path);

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78); `crc` continues an earlier piece.
// Check value: "123456789" gives 0xE3069283.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
std::uint32_t crc32c(std::string_view text, std::uint32_t crc = 0);

// As stored in TensorFlow records: rotated right by 15, plus 0xA282EAD8, so that the CRC of data
// that holds CRCs stays strong.
constexpr std::uint32_t masked_crc(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

}  // namespace lathe
