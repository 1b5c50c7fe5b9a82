// The tokenizer that needs no data: each byte is a token, and two ids follow for the end of text
// (256) and padding (257), if wanted a third for the mask (258).
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/tokenizer.h>

namespace lathe {

class BytesTokenizer final : public Tokenizer {
 public:
  struct Options : Keys {
    bool mask = key("mask", false, "add <|mask|>, for models that see both sides of a token");
  };
  explicit BytesTokenizer(bool mask = false) : mask_(mask) {}
  explicit BytesTokenizer(const Config& config) : mask_(Options(config).mask) {}

  std::vector<std::int32_t> encode(std::string_view text,
                                   Special special = Special::as_text) const override;
  std::string_view token(std::int32_t id) const override;
  std::int64_t size() const override { return mask_ ? 259 : 258; }
  std::int32_t end_id() const override { return 256; }
  std::int32_t pad_id() const override { return 257; }
  std::int32_t mask_id() const override { return mask_ ? 258 : -1; }
  std::int32_t special_id(std::string_view literal) const override;
  void save(const std::filesystem::path& folder) const override;

 private:
  bool mask_;
};

}  // namespace lathe
