// Reading and writing safetensors files, the tensor files of the Hugging Face ecosystem.
//
// Layout: 8 bytes little-endian N, N bytes of JSON header, the data. Format and checks:
// https://github.com/huggingface/safetensors (README.md, safetensors/src/tensor.rs).
#pragma once

#include <lathe/base/file.h>
#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The element types of the format, named as in its files.
// clang-format off
enum class TensorType : std::uint8_t {
  F64, F32, F16, BF16, C64, I64, I32, I16, I8, U64, U32, U16, U8, BOOL,
  F8_E5M2, F8_E4M3, F8_E8M0, F6_E2M3, F6_E3M2, F4,
};
// clang-format on

std::string_view name_of(TensorType type);
int bits_of(TensorType type);
TensorType tensor_type(DType type);
std::optional<DType> dtype_of_tensor(TensorType type);  // none where the framework has no such type

// One tensor; `bytes` is row-major, little-endian, and may be unaligned: copy, never cast.
struct TensorEntry {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  std::int64_t elements() const;
};

std::string shape_text(std::span<const std::int64_t> shape);  // "[2, 3]"

// The tensors of a file or of all shards of a model, with the memory that they view.
class TensorFile {
 public:
  const std::vector<TensorEntry>& entries() const { return entries_; }  // sorted by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

  const TensorEntry* find(std::string_view name) const;
  // An Error that names the file and the nearest name if there is no such tensor.
  const TensorEntry& at(std::string_view name) const;
  // The same, and an Error with both shapes unless the shape is this.
  const TensorEntry& at(std::string_view name, std::span<const std::int64_t> shape) const;

 private:
  friend TensorFile parse_tensors(std::span<const std::byte>, std::string_view);
  friend TensorFile open_tensors(const std::string&);
  void sort();

  std::string path_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::shared_ptr<const MappedFile>> maps_;
};

// The tensors in `bytes`, which must outlive the result. Anything the format forbids is an Error
// that begins with `name` and names the tensor, what was expected and what was found.
TensorFile parse_tensors(std::span<const std::byte> bytes, std::string_view name);

// Maps a .safetensors file, a shard index (*.index.json), or a folder that holds
// model.safetensors or model.safetensors.index.json.
TensorFile open_tensors(const std::string& path);

// Values converted to f32 from F64, F32, F16 or BF16; `into` must have elements() places.
void read_floats(const TensorEntry& entry, std::span<float> into);
float from_f16(std::uint16_t bits);  // IEEE binary16, subnormals, infinities and NaN included

using TensorMetadata = std::map<std::string, std::string>;

// What will be written for these entries: by falling alignment, then by name, with the header
// padded so that the data begins at a multiple of 8, and metadata format=pt, which the
// transformers library looks for. Errors: duplicate or reserved names, bytes that do not fit the
// shape.
class TensorLayout {
 public:
  explicit TensorLayout(std::span<const TensorEntry> entries, TensorMetadata metadata = {});

  std::uint64_t size() const { return size_; }
  void write(const ByteSink& sink) const;

 private:
  std::string header_;
  std::vector<std::span<const std::byte>> parts_;
  std::uint64_t size_ = 0;
};

// Durable: a file under `path` is replaced whole or not at all, and maps of the old one survive.
void write_tensors(FileSystem& files, const std::string& path, std::span<const TensorEntry> entries,
                   TensorMetadata metadata = {});

}  // namespace lathe
