// Text to token ids and back: the interface of every tokenizer, and a decoder for streams.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// What becomes of a literal special token, such as "<|endoftext|>", inside a text. User text is
// read as_text, so that nobody can smuggle in an end of text; templates are read as_id.
enum class Special { as_text, as_id };

// A vocabulary of V tokens, ids 0..V-1, and the rule that cuts a text into them. All const
// functions may be called from several threads at a time.
class Tokenizer {
 public:
  static constexpr const char* kind = "tokenizer";
  static constexpr int interface_version = 1;

  Tokenizer() = default;
  virtual ~Tokenizer();

  // The ids of a text. Throws Error with the byte offset where the text is not UTF-8, and where it
  // holds something that the vocabulary lacks. Never adds a begin or end token by itself.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           Special special = Special::as_text) const = 0;

  // Equal to encode(), id for id, at any thread count; large texts use all OpenMP threads.
  virtual std::vector<std::int32_t> encode_parallel(std::string_view text,
                                                    Special special = Special::as_text) const;

  // The bytes of the ids, one after the other; the cut may lie inside a UTF-8 character, see
  // StreamDecoder. Throws Error at an id that the vocabulary lacks.
  virtual std::string decode(std::span<const std::int32_t> ids) const;

  // The bytes that one token adds to a text. Valid as long as the tokenizer and its vocabulary
  // stand.
  virtual std::string_view token(std::int32_t id) const = 0;

  virtual std::int64_t size() const = 0;  // V

  // End of text, padding, begin of text, and what stands for a hidden token in front of a
  // bidirectional model; -1 where the vocabulary has none.
  virtual std::int32_t end_id() const;
  virtual std::int32_t pad_id() const;
  virtual std::int32_t begin_id() const;
  virtual std::int32_t mask_id() const;

  // Whether the id stands for no text: the four above, other markers, holes in the vocabulary.
  virtual bool is_special(std::int32_t id) const;

  // Whether a word begins at token `id` after token `before` (-1: nothing is before). By default a
  // token goes on with a word when both bytes at the seam are letters, digits or beyond ASCII.
  virtual bool begins_word(std::int32_t before, std::int32_t id) const;

  // The id of a special token by its literal text, or -1.
  virtual std::int32_t special_id(std::string_view literal) const;

  // Whether train() must run before anything else: the vocabulary is to be learnt from the data.
  virtual bool needs_training() const;
  virtual void train(std::span<const std::string_view> documents);

  // Writes tokenizer.json and tokenizer_config.json, as Hugging Face's libraries read them, into a
  // folder that exists. load_tokenizer() gives back an equal tokenizer.
  virtual void save(const std::filesystem::path& folder) const = 0;

 protected:  // copied and moved only as what it really is
  Tokenizer(const Tokenizer&) = default;
  Tokenizer& operator=(const Tokenizer&) = default;
};

// A tokenizer from tokenizer.json (byte-level BPE, WordPiece, or one that save() wrote), from a
// vocab.txt (WordPiece), from a folder that holds one of these, or from a folder with vocab.json
// and merges.txt.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file_or_folder);

// Turns ids into text while they arrive. What it returns is always whole UTF-8 characters; bytes
// that can never become one are replaced by U+FFFD.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  std::string push(std::int32_t id);  // the characters that this id completes
  std::string flush();                // what is left, a cut character as U+FFFD; then starts anew

 private:
  const Tokenizer& tokenizer_;
  std::string rest_;
};

}  // namespace lathe
