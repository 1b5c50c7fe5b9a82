#include <elf.h>
#include <lathe/base/error.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/stamp_reader.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <optional>

namespace lathe {
namespace {
#if defined(__x86_64__)
constexpr int machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int machine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

struct OtherFormat : Error {
  using Error::Error;
};

// The file, read in pieces with every bound checked.
class Elf {
 public:
  explicit Elf(const std::filesystem::path& file) : stream_(file, std::ios::binary) {
    if (!stream_) fail("cannot be opened");
    stream_.seekg(0, std::ios::end);
    size_ = static_cast<std::uint64_t>(stream_.tellg());
  }

  std::string bytes(std::uint64_t offset, std::uint64_t count) {
    if (offset > size_ || count > size_ - offset) fail("is damaged: it ends too early");
    std::string result(count, '\0');
    stream_.seekg(static_cast<std::streamoff>(offset));
    stream_.read(result.data(), static_cast<std::streamsize>(count));
    if (!stream_) fail("cannot be read");
    return result;
  }

  template <class T>
  T object(std::uint64_t offset) {
    T value;
    std::memcpy(&value, bytes(offset, sizeof value).data(), sizeof value);
    return value;
  }

 private:
  std::ifstream stream_;
  std::uint64_t size_ = 0;
};

// The bytes of a section, if there is one of that name.
std::optional<std::string> section_of(Elf& elf, const char* name) {
  const auto header = elf.object<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) fail("is not an ELF library");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != machine) {
    fail("is built for another processor");
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) {
    fail("is damaged: its table of sections is broken");
  }
  const auto section = [&](std::uint64_t index) {
    return elf.object<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr));
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  const std::string text = elf.bytes(names.sh_offset, names.sh_size);
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr candidate = section(i);
    if (candidate.sh_name >= text.size()) continue;
    if (std::strcmp(text.c_str() + candidate.sh_name, name) != 0) continue;
    return elf.bytes(candidate.sh_offset, candidate.sh_size);
  }
  return std::nullopt;
}

std::string stamp_section(Elf& elf) {
  if (const auto bytes = section_of(elf, ".lathe.stamp")) return *bytes;
  fail("is not a Lathe plugin: it has no line LATHE_PLUGIN(...)");
}

// The linker's hash of what it linked: a note of three numbers, "GNU" and the bytes.
std::string build_id_of(Elf& elf) {
  const std::string note = section_of(elf, ".note.gnu.build-id").value_or("");
  std::uint32_t sizes[2] = {};
  constexpr std::size_t start = sizeof(Elf64_Nhdr) + 4;
  if (note.size() < start) return "";
  std::memcpy(sizes, note.data(), sizeof sizes);
  std::string text;
  for (const char byte : std::string_view(note).substr(start, sizes[1])) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string_view library_name(std::uint32_t flags) {
  if (!(flags & libstdcxx)) return "another standard library";
  return flags & new_string_abi ? "libstdc++ with the new string" : "libstdc++ with the old string";
}

std::string mode_name(std::uint32_t flags) {
  std::string text;
  const auto add = [&](std::uint32_t flag, std::string_view name) {
    if (flags & flag) text += cat(text.empty() ? "" : " and ", name);
  };
  add(debug_containers, "_GLIBCXX_DEBUG");
  add(address_sanitizer, "the address sanitizer");
  add(thread_sanitizer, "the thread sanitizer");
  return text.empty() ? "none of _GLIBCXX_DEBUG and the sanitizers" : text;
}

// "" or the first type whose layout differs.
std::string layout_fault(const Stamp& stamp) {
  if (stamp.layout_count != core_layouts.size()) {
    return cat("it lists ", stamp.layout_count, " core types, this host ", core_layouts.size());
  }
  for (std::size_t i = 0; i < core_layouts.size(); ++i) {
    if (stamp.layouts[i] == core_layouts[i]) continue;
    return cat(core_names[i], " has ", stamp.layouts[i].size, " bytes there and ",
               core_layouts[i].size, " here");
  }
  return "";
}

std::vector<Stamp> stamps_in(const std::string& bytes) {
  constexpr std::size_t fixed = offsetof(Stamp, kind);
  std::vector<Stamp> stamps;
  for (std::size_t at = 0; at + fixed <= bytes.size(); at += sizeof(Stamp)) {
    Stamp stamp;
    std::memcpy(static_cast<void*>(&stamp), bytes.data() + at, fixed);
    if (stamp.magic.view() != Stamp().magic.view()) fail("is damaged: its stamp has no magic");
    if (stamp.epoch != LATHE_STAMP_EPOCH || stamp.size != sizeof(Stamp)) {
      throw OtherFormat(cat("has a stamp of format ", stamp.epoch, " (", stamp.size,
                            " bytes), this host reads format ", LATHE_STAMP_EPOCH, " (",
                            sizeof(Stamp), " bytes): the ",
                            stamp.epoch > LATHE_STAMP_EPOCH ? "host" : "plugin",
                            " is older. Build the plugin again with the headers of this host"));
    }
    if (bytes.size() - at < sizeof(Stamp)) fail("is damaged: its stamp is cut off");
    std::memcpy(static_cast<void*>(&stamp), bytes.data() + at, sizeof(Stamp));
    stamps.push_back(stamp);
  }
  if (stamps.empty()) fail("is damaged: its stamp is cut off");
  return stamps;
}

std::string header_fault(const Stamp& stamp, std::string_view hash_of_headers) {
  if (hash_of_headers == header_hash()) return "";
  if (hash_of_headers.empty()) {
    return cat("E102 plugin '", stamp.name.view(),
               "' does not say which public headers it is built with. Build it by lathe_add_plugin "
               "or `lathe build`, which note them");
  }
  return cat("E102 plugin '", stamp.name.view(), "' is built with other public headers (",
             hash_of_headers, ") than this host (", header_hash(),
             "). Build it again with the headers of this host");
}
}  // namespace

PluginFile read_plugin_file(const std::filesystem::path& file) {
  try {
    Elf elf(file);
    const std::string headers = section_of(elf, ".lathe.headers").value_or("");
    return {.stamps = stamps_in(stamp_section(elf)),
            .header_hash = headers.substr(0, headers.find('\0')),
            .build_id = build_id_of(elf),
            .manual = section_of(elf, ".lathe.manual").value_or("")};
  } catch (const OtherFormat& error) {
    fail("E101 the plugin file ", file.string(), " ", error.what());
  } catch (const Error& error) {
    fail("the plugin file ", file.string(), " ", error.what());
  }
}

std::string stamp_fault(const Stamp& stamp, std::string_view hash_of_headers) {
  const std::uint32_t host = library_flags();
  const std::string start = cat("E102 plugin '", stamp.name.view(), "' ");
  constexpr std::string_view rebuild = ". Build it again with the compiler and flags of this host";
  constexpr std::uint32_t library = libstdcxx | new_string_abi;
  if ((stamp.library & library) != (host & library)) {
    return cat(start, "uses ", library_name(stamp.library), ", this host ", library_name(host),
               rebuild);
  }
  if (stamp.library != host) {
    return cat(start, "is built with ", mode_name(stamp.library), ", this host with ",
               mode_name(host), rebuild);
  }
  const std::string layout = layout_fault(stamp);
  if (!layout.empty()) return cat(start, "disagrees on core types: ", layout, rebuild);
  return header_fault(stamp, hash_of_headers);
}

std::string interface_fault(const Stamp& stamp, int host_version) {
  const auto host = static_cast<std::uint32_t>(host_version);
  if (stamp.interface_version == host) return "";
  return cat("E101 plugin '", stamp.name.view(), "' is built for version ", stamp.interface_version,
             " of the ", stamp.kind.view(), " interface, this host has ", host, ": the ",
             stamp.interface_version < host ? "plugin" : "host",
             " is older. Build the plugin again with the headers of this host");
}

std::string trust_fault(const std::filesystem::path& file) {
  for (const std::filesystem::path& path : {file, file.parent_path()}) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) return cat(path.string(), " does not exist");
    if (status.st_mode & S_IWOTH) {
      return cat("E111 ", path.string(),
                 " is writable for everyone, so anyone could run code here: chmod "
                 "o-w ",
                 path.string());
    }
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
      return cat("E111 ", path.string(), " belongs to another user (", status.st_uid,
                 "): plugins must belong to you or root");
    }
  }
  return "";
}

}  // namespace lathe
