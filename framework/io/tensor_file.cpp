// Looking tensors up, opening files and shards, and converting values.
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/safetensors.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

namespace lathe {
namespace {

// Single-character insertions, deletions and replacements between two names (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t k = 0; k < b.size(); ++k) {
      const std::size_t replaced = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, diagonal + 1, row[k] + 1});
    }
  }
  return row.back();
}

constexpr std::string_view whole_name = "model.safetensors";
constexpr std::string_view index_name = "model.safetensors.index.json";

std::string resolved(const std::string& path) {
  FileStatus status;
  if (real_files().status(path + "/.", status) < 0) return path;
  for (const std::string_view name : {whole_name, index_name}) {
    if (exists(join(path, name))) return join(path, name);
  }
  fail(path, ": no weights here; expected ", whole_name, " or ", index_name);
}

}  // namespace

void TensorFile::sort() {
  std::sort(entries_.begin(), entries_.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
}

const TensorEntry* TensorFile::find(std::string_view name) const {
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const TensorEntry& entry, std::string_view n) { return entry.name < n; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

const TensorEntry& TensorFile::at(std::string_view name) const {
  if (const TensorEntry* const found = find(name)) return *found;
  const auto nearest = std::min_element(entries_.begin(), entries_.end(),
                                        [&](const TensorEntry& a, const TensorEntry& b) {
                                          return distance(a.name, name) < distance(b.name, name);
                                        });
  if (nearest == entries_.end()) fail(path_, ": no tensor \"", name, "\"; the file has none");
  fail(path_, ": no tensor \"", name, "\" among ", entries_.size(), "; the nearest name is \"",
       nearest->name, "\"");
}

const TensorEntry& TensorFile::at(std::string_view name,
                                  std::span<const std::int64_t> shape) const {
  const TensorEntry& entry = at(name);
  if (!std::equal(shape.begin(), shape.end(), entry.shape.begin(), entry.shape.end())) {
    fail(path_, ": tensor \"", name, "\" has shape ", shape_text(entry.shape),
         "; the model expects ", shape_text(shape));
  }
  return entry;
}

TensorFile open_tensors(const std::string& given) {
  const std::string path = resolved(given);
  if (!path.ends_with(".json")) {
    auto map = std::make_shared<const MappedFile>(path);
    TensorFile file = parse_tensors(map->bytes(), path);
    file.maps_.push_back(std::move(map));
    return file;
  }

  const Json index = read_json(path);
  const auto names = index.find("weight_map");
  if (!index.is_object() || names == index.end() || !names->is_object()) {
    fail(path, ": expected an object \"weight_map\" from tensor names to file names");
  }
  std::map<std::string, std::set<std::string>> promised;  // by shard
  for (const auto& [name, shard] : names->items()) {
    // Also keeps an index from naming itself.
    if (!shard.is_string() || !shard.get_ref<const std::string&>().ends_with(".safetensors")) {
      fail(path, ": weight_map \"", name, "\" does not name a .safetensors file");
    }
    promised[checked_name(shard.get_ref<const std::string&>(), path)].insert(name);
  }
  TensorFile all;
  all.path_ = path;
  for (const auto& [shard, expected] : promised) {
    TensorFile part = open_tensors(join(folder_of(path), shard));
    for (TensorEntry& entry : part.entries_) {
      if (!expected.contains(entry.name)) {
        fail(part.path_, ": tensor \"", entry.name, "\" is not promised to this shard by ", path);
      }
      all.entries_.push_back(std::move(entry));
    }
    if (part.entries_.size() != expected.size()) {
      for (const std::string& name : expected) {
        const auto same = [&](const TensorEntry& e) { return e.name == name; };
        if (std::none_of(all.entries_.begin(), all.entries_.end(), same)) {
          fail(part.path_, ": no tensor \"", name, "\", which ", path, " promises");
        }
      }
    }
    all.metadata_.merge(part.metadata_);
    all.maps_.insert(all.maps_.end(), part.maps_.begin(), part.maps_.end());
  }
  all.sort();
  return all;
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

namespace {

template <class Stored, class Convert>
void convert_all(const TensorEntry& entry, std::span<float> into, Convert convert) {
  for (std::size_t i = 0; i < into.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, entry.bytes.data() + i * sizeof stored, sizeof stored);
    into[i] = convert(stored);
  }
}

}  // namespace

void read_floats(const TensorEntry& entry, std::span<float> into) {
  if (static_cast<std::uint64_t>(entry.elements()) != into.size()) {
    fail("tensor \"", entry.name, "\" of shape ", shape_text(entry.shape), " has ",
         entry.elements(), " elements; ", into.size(), " are expected");
  }
  switch (entry.type) {
    case TensorType::F32:
      if (!into.empty()) std::memcpy(into.data(), entry.bytes.data(), into.size_bytes());
      return;
    case TensorType::F64:
      return convert_all<double>(entry, into, [](double x) { return static_cast<float>(x); });
    case TensorType::BF16:
      return convert_all<bf16>(entry, into, [](bf16 x) { return static_cast<float>(x); });
    case TensorType::F16:
      return convert_all<std::uint16_t>(entry, into, from_f16);
    default:
      fail("tensor \"", entry.name, "\" holds ", name_of(entry.type),
           "; expected floating-point values (F32, F64, F16, BF16)");
  }
}

}  // namespace lathe
