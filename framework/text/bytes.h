// The tokenizer that needs no data: each byte is a token, and two ids follow for the end of text
// (256) and padding (257).
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/tokenizer.h>

namespace lathe {

class BytesTokenizer final : public Tokenizer {
 public:
  struct Options : Keys {};
  BytesTokenizer() = default;
  explicit BytesTokenizer(const Config&) {}

  std::vector<std::int32_t> encode(std::string_view text,
                                   Special special = Special::as_text) const override;
  std::string_view token(std::int32_t id) const override;
  std::int64_t size() const override { return 258; }
  std::int32_t end_id() const override { return 256; }
  std::int32_t pad_id() const override { return 257; }
  std::int32_t special_id(std::string_view literal) const override;
  void save(const std::filesystem::path& folder) const override;
};

}  // namespace lathe
