#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/safetensors.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace lathe {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is used as it lies");

struct TypeInfo {
  std::string_view name;
  int bits;
};
constexpr std::array<TypeInfo, 20> types = {
    {{"F64", 64},    {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"C64", 64},
     {"I64", 64},    {"I32", 32},    {"I16", 16},    {"I8", 8},      {"U64", 64},
     {"U32", 32},    {"U16", 16},    {"U8", 8},      {"BOOL", 8},    {"F8_E5M2", 8},
     {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}}};

constexpr std::uint64_t longest_header = 100'000'000;

// Bytes of a tensor, or nothing if the product overflows or ends inside a byte.
std::optional<std::uint64_t> bytes_for(TensorType type, std::span<const std::int64_t> shape) {
  std::uint64_t bits = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bits, static_cast<std::uint64_t>(size), &bits)) {
      return std::nullopt;
    }
  }
  if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(bits_of(type)), &bits) ||
      bits % 8 != 0) {
    return std::nullopt;
  }
  return bits / 8;
}

}  // namespace

std::string_view name_of(TensorType type) { return types[static_cast<std::size_t>(type)].name; }
int bits_of(TensorType type) { return types[static_cast<std::size_t>(type)].bits; }

TensorType tensor_type(DType type) {
  switch (type) {
    case DType::f32:
      return TensorType::F32;
    case DType::bf16:
      return TensorType::BF16;
    case DType::f64:
      return TensorType::F64;
    case DType::i32:
      return TensorType::I32;
  }
  fail("no safetensors type for element type ", static_cast<int>(type));
}

std::optional<DType> dtype_of_tensor(TensorType type) {
  for (const DType known : {DType::f32, DType::bf16, DType::f64, DType::i32}) {
    if (tensor_type(known) == type) return known;
  }
  return std::nullopt;
}

std::int64_t TensorEntry::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += cat(text.size() > 1 ? ", " : "", size);
  return text + "]";
}

namespace {

// One header entry after another, each Error beginning with the file and the tensor.
class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> data, std::string_view file) : data_(data), file_(file) {}

  TensorEntry entry(const std::string& name, const Json& value) {
    name_ = name;
    if (!value.is_object()) wrong("expected an object with dtype, shape and data_offsets");
    TensorEntry entry;
    entry.name = name;
    entry.type = type(field(value, "dtype"));
    entry.shape = shape(field(value, "shape"));
    const auto [begin, end] = offsets(field(value, "data_offsets"));
    const auto bytes = bytes_for(entry.type, entry.shape);
    if (!bytes) {
      wrong("shape ", shape_text(entry.shape), " of ", name_of(entry.type),
            " has no size in whole bytes below 2^64 bits");
    }
    if (*bytes != end - begin) {
      wrong("shape ", shape_text(entry.shape), " of ", name_of(entry.type), " needs ", *bytes,
            " bytes, but data_offsets [", begin, ", ", end, "] hold ", end - begin);
    }
    entry.bytes = data_.subspan(begin, end - begin);
    return entry;
  }

  // Together the tensors must cover the data exactly, or bytes could hide or be counted twice.
  void check_cover(std::vector<TensorEntry>& entries) {
    const auto begin_of = [&](const TensorEntry& e) {
      return static_cast<std::uint64_t>(e.bytes.data() - data_.data());
    };
    std::sort(entries.begin(), entries.end(), [&](const TensorEntry& a, const TensorEntry& b) {
      return std::pair(begin_of(a), a.bytes.size()) < std::pair(begin_of(b), b.bytes.size());
    });
    std::uint64_t expected = 0;
    for (const TensorEntry& entry : entries) {
      name_ = entry.name;
      if (begin_of(entry) != expected) {
        wrong("begins at byte ", begin_of(entry), " of the data; expected ", expected,
              ", where the tensor before it ends");
      }
      expected += entry.bytes.size();
    }
    if (expected != data_.size()) {
      fail(file_, ": the tensors end at byte ", expected, " of the data, but the file holds ",
           data_.size(), "; it is cut off or has something appended");
    }
  }

 private:
  template <class... Parts>
  [[noreturn]] void wrong(const Parts&... parts) const {
    fail(file_, ": tensor \"", name_, "\": ", parts...);
  }

  const Json& field(const Json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) wrong("has no ", key);
    return *found;
  }

  TensorType type(const Json& value) const {
    if (value.is_string()) {
      for (std::size_t i = 0; i < types.size(); ++i) {
        if (value.get_ref<const std::string&>() == types[i].name) return static_cast<TensorType>(i);
      }
    }
    wrong("unknown dtype ", value.dump(), "; expected F32, BF16, F16, I64 or another known one");
  }

  std::int64_t natural(const Json& value, const char* what) const {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
      wrong(what, " holds ", value.dump(), "; expected integers of 0 or more");
    }
    return value.get<std::int64_t>();
  }

  std::vector<std::int64_t> shape(const Json& value) const {
    if (!value.is_array()) wrong("shape is ", value.type_name(), "; expected a list of integers");
    std::vector<std::int64_t> sizes;
    for (const Json& size : value) sizes.push_back(natural(size, "shape"));
    return sizes;
  }

  std::pair<std::uint64_t, std::uint64_t> offsets(const Json& value) const {
    if (!value.is_array() || value.size() != 2) wrong("data_offsets must be [begin, end]");
    const auto begin = static_cast<std::uint64_t>(natural(value[0], "data_offsets"));
    const auto end = static_cast<std::uint64_t>(natural(value[1], "data_offsets"));
    if (begin > end || end > data_.size()) {
      wrong("data_offsets [", begin, ", ", end, "] do not lie inside the ", data_.size(),
            " bytes of data; the file may be cut off");
    }
    return {begin, end};
  }

  std::span<const std::byte> data_;
  std::string_view file_;
  std::string name_;
};

}  // namespace

TensorFile parse_tensors(std::span<const std::byte> bytes, std::string_view name) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) {
    fail(name, ": ", bytes.size(), " bytes; a safetensors file has at least 8");
  }
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > longest_header || length > bytes.size() - sizeof length) {
    fail(name, ": the header claims ", length, " bytes; the file has ",
         bytes.size() - sizeof length, " after the length, and at most ", longest_header,
         " are allowed. It is cut off or no safetensors file");
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + sizeof length,
                                length);
  const Json json = parse_json(header, cat(name, " (header)"));
  if (!json.is_object()) fail(name, ": the header is ", json.type_name(), "; expected an object");

  TensorFile file;
  file.path_ = name;
  HeaderReader reader(bytes.subspan(sizeof length + length), name);
  for (const auto& [key, value] : json.items()) {
    if (key != "__metadata__") {
      file.entries_.push_back(reader.entry(key, value));
      continue;
    }
    if (!value.is_object()) fail(name, ": __metadata__ is not an object");
    for (const auto& [word, text] : value.items()) {
      if (!text.is_string()) {
        fail(name, ": __metadata__ \"", word, "\" is ", text.type_name(), "; expected a string");
      }
      file.metadata_[word] = text.get<std::string>();
    }
  }
  reader.check_cover(file.entries_);
  file.sort();
  return file;
}

TensorLayout::TensorLayout(std::span<const TensorEntry> entries, TensorMetadata metadata) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    const int a_bits = bits_of(a->type), b_bits = bits_of(b->type);
    return a_bits != b_bits ? a_bits > b_bits : a->name < b->name;
  });

  metadata.emplace("format", "pt");
  Json header = {{"__metadata__", metadata}};
  std::uint64_t offset = 0;
  for (const TensorEntry* const entry : order) {
    if (header.contains(entry->name)) {
      fail("cannot write tensor \"", entry->name, "\": the name is reserved or used twice");
    }
    if (bytes_for(entry->type, entry->shape) != entry->bytes.size()) {
      fail("cannot write tensor \"", entry->name, "\": shape ", shape_text(entry->shape), " of ",
           name_of(entry->type), " does not fit ", entry->bytes.size(), " bytes");
    }
    const std::uint64_t end = offset + entry->bytes.size();
    header[entry->name] = {
        {"dtype", name_of(entry->type)}, {"shape", entry->shape}, {"data_offsets", {offset, end}}};
    offset = end;
    parts_.push_back(entry->bytes);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error& problem) {
    fail("cannot write tensors: a name or metadata is not UTF-8 (", problem.what(), ")");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  if (length > longest_header) {
    fail("cannot write ", entries.size(), " tensors: the header has ", length,
         " bytes, and at most ", longest_header, " are allowed");
  }
  header_.assign(reinterpret_cast<const char*>(&length), sizeof length);
  header_ += text;
  size_ = header_.size() + offset;
}

void TensorLayout::write(const ByteSink& sink) const {
  sink(std::as_bytes(std::span(header_)));
  for (const auto part : parts_) sink(part);
}

void write_tensors(FileSystem& files, const std::string& path, std::span<const TensorEntry> entries,
                   TensorMetadata metadata) {
  const TensorLayout layout(entries, std::move(metadata));
  DurableFile file(files, path);
  layout.write([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

}  // namespace lathe
