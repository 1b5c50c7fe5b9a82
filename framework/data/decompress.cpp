#include <lathe/base/error.h>
#include <lathe/data/decompress.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace lathe {

namespace {

constexpr std::size_t chunk = std::size_t{1} << 18;
constexpr std::uint64_t decoder_memory = std::uint64_t{1} << 30;  // xz -9 needs 65 MB

[[noreturn]] void damaged(std::string_view name, std::string_view kind, std::string_view reason) {
  fail(name, ": this ", kind, " file is damaged (", reason, "): fetch or compress it again");
}

void append_limited(std::string& text, const unsigned char* bytes, std::size_t count,
                    std::string_view name, std::uint64_t limit) {
  if (count > limit - text.size()) {
    fail(name, ": unpacks to more than ", limit, " bytes: unpack it yourself and split it");
  }
  text.append(reinterpret_cast<const char*>(bytes), count);
}

struct Inflater {
  z_stream stream{};
  explicit Inflater(std::string_view name) {
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) fail(name, ": zlib cannot start");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

std::string inflated(std::string& bytes, std::string_view name, std::uint64_t limit) {
  Inflater zlib(name);
  z_stream& stream = zlib.stream;
  std::string text;
  std::array<unsigned char, chunk> out;
  std::size_t read = 0;
  bool ended = false;
  while (read < bytes.size()) {
    if (ended) inflateReset(&stream);  // the next member
    // zlib counts in 32 bits, so large files are handed over in pieces.
    const std::size_t piece = std::min(bytes.size() - read, std::size_t{1} << 30);
    stream.next_in = reinterpret_cast<unsigned char*>(bytes.data()) + read;
    stream.avail_in = static_cast<unsigned>(piece);
    int state = Z_OK;
    do {
      stream.next_out = out.data();
      stream.avail_out = static_cast<unsigned>(out.size());
      state = inflate(&stream, Z_NO_FLUSH);
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        damaged(name, "gzip", stream.msg == nullptr ? "unknown" : stream.msg);
      }
      append_limited(text, out.data(), out.size() - stream.avail_out, name, limit);
    } while (state != Z_STREAM_END && stream.avail_out == 0);
    ended = state == Z_STREAM_END;
    read += piece - stream.avail_in;
  }
  if (!ended) damaged(name, "gzip", "cut off");
  return text;
}

struct XzDecoder {
  lzma_stream stream = LZMA_STREAM_INIT;
  explicit XzDecoder(std::string_view name) {
    if (lzma_stream_decoder(&stream, decoder_memory, LZMA_CONCATENATED) != LZMA_OK) {
      fail(name, ": liblzma cannot start");
    }
  }
  ~XzDecoder() { lzma_end(&stream); }
  XzDecoder(const XzDecoder&) = delete;
  XzDecoder& operator=(const XzDecoder&) = delete;
};

std::string unpacked_xz(const std::string& bytes, std::string_view name, std::uint64_t limit) {
  XzDecoder lzma(name);
  lzma_stream& stream = lzma.stream;
  std::string text;
  std::array<unsigned char, chunk> out;
  stream.next_in = reinterpret_cast<const unsigned char*>(bytes.data());
  stream.avail_in = bytes.size();
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK) {
    stream.next_out = out.data();
    stream.avail_out = out.size();
    state = lzma_code(&stream, LZMA_FINISH);
    append_limited(text, out.data(), out.size() - stream.avail_out, name, limit);
  }
  if (state == LZMA_MEMLIMIT_ERROR) {
    fail(name, ": unpacking this xz file takes more than ", decoder_memory,
         " bytes of memory: compress it again with a smaller preset");
  }
  if (state == LZMA_BUF_ERROR) damaged(name, "xz", "cut off");
  if (state != LZMA_STREAM_END) damaged(name, "xz", "wrong format or checksum");
  return text;
}

}  // namespace

std::string decompressed(std::string bytes, std::string_view name, std::uint64_t limit) {
  if (name.ends_with(".gz")) return inflated(bytes, name, limit);
  if (name.ends_with(".xz")) return unpacked_xz(bytes, name, limit);
  return bytes;
}

}  // namespace lathe
