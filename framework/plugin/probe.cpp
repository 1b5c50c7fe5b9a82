#include <lathe/base/child.h>
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/plugin/loader.h>
#include <lathe/plugin/probe.h>
#include <lathe/plugin/stamp_reader.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace lathe {
namespace {
double limit() {
  const char* text = std::getenv("LATHE_PROBE_LIMIT");
  const double seconds = text == nullptr ? 0 : std::strtod(text, nullptr);
  return seconds > 0 ? seconds : 30;
}

bool needs_options(const Description& component) {
  const std::vector<Option>& options = component.schema.options;
  return std::any_of(options.begin(), options.end(), [](const Option& o) { return o.required; });
}

// The child's side: one line of JSON for each thing the host must know, said before the next step
// may end the process.
class Asking {
 public:
  Asking(const std::filesystem::path& library, const Say& say) : library_(library), say_(say) {}

  void run(const PluginFile& read) {
    try {
      tell({{"plugin", read.stamps.front().name.view()}, {"phase", "load"}});
      const std::span<const Descriptor> descriptors = load_library(library_);
      Sidecar sidecar;
      for (const Descriptor& descriptor : descriptors) {
        tell({{"plugin", descriptor.name()}, {"phase", "describe"}});
        sidecar.components.push_back(description_of(descriptor, read.manual));
      }
      tell({{"sidecar", sidecar_text(sidecar)}});
      for (std::size_t i = 0; i < descriptors.size(); ++i) {
        if (!needs_options(sidecar.components[i])) make(descriptors[i]);
      }
    } catch (const std::exception& error) {
      tell({{"fault", error.what()}});
    } catch (...) {
      tell({{"fault", "E108 it threw something that is not an exception of the standard library"}});
    }
  }

 private:
  // A constructor may refuse its defaults: whoever uses it so will hear why.
  void make(const Descriptor& descriptor) {
    try {
      tell({{"plugin", descriptor.name()}, {"phase", "create"}});
      void* made = descriptor.create(Config());
      tell({{"plugin", descriptor.name()}, {"phase", "destroy"}});
      descriptor.destroy(made);
    } catch (const Unavailable& reason) {
      tell({{"absent", cat(descriptor.kind(), " '", descriptor.name(), "'")},
            {"reason", reason.what()}});
    } catch (...) {
    }
  }
  void tell(const Json& line) {
    say_(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  const std::filesystem::path& library_;
  const Say& say_;
};

std::string death(const ChildEnd& end, const Json& last) {
  const std::string name = last.value("plugin", "");
  const std::string phase = last.value("phase", "");
  const std::string start = cat("E106 plugin '", name, "' ");
  switch (end.how) {
    case ChildEnd::How::signalled:
      return cat(start, "died in its probe (", name_of_signal(end.number), ", phase: ", phase, ")");
    case ChildEnd::How::timed_out:
      return cat(start, "did not end its probe within ", end.number, " s (timeout, phase: ", phase,
                 ")");
    default:
      return cat(start, "ended the process with code ", end.number, " in its probe (phase: ", phase,
                 ")");
  }
}

// The stamps were judged before; what is offered must be what they say.
std::string fault_of_offer(const PluginFile& read, const Sidecar& sidecar) {
  for (const Stamp& stamp : read.stamps) {
    const Description* found = sidecar.find(stamp.kind.view(), stamp.name.view());
    if (found != nullptr && found->version == stamp.version.view()) continue;
    return cat("E101 plugin '", stamp.name.view(), "' does not offer the ", stamp.kind.view(),
               " that its stamp announces. Build it again");
  }
  return "";
}

Probe judged(const ChildEnd& end, const PluginFile& read) {
  Probe probe;
  probe.output = end.output;
  Json last = Json::object();
  std::istringstream lines(end.said);
  for (std::string line; std::getline(lines, line);) {
    const Json said = Json::parse(line, nullptr, false);
    if (!said.is_object()) continue;
    if (said.contains("phase")) last = said;
    if (said.contains("fault")) probe.fault = said.at("fault").get<std::string>();
    if (said.contains("absent")) probe.absent[said.at("absent")] = said.at("reason");
    if (said.contains("sidecar")) probe.sidecar = parse_sidecar(said.at("sidecar"), "of a probe");
  }
  if (end.how != ChildEnd::How::finished) probe.fault = death(end, last);
  if (probe.fault.empty()) probe.fault = fault_of_offer(read, probe.sidecar);
  return probe;
}

}  // namespace

LibraryIdentity library_identity(const std::filesystem::path& library) {
  return {.sha256 = sha256_of_file(library.string()),
          .size = std::filesystem::file_size(library),
          .build_id = read_plugin_file(library).build_id};
}

Probe probe_library(const std::filesystem::path& library) {
  const PluginFile read = read_plugin_file(library);
  Probe probe;
  for (const Stamp& stamp : read.stamps) {
    probe.fault = stamp_fault(stamp, read.header_hash);
    if (!probe.fault.empty()) return probe;
  }
  const LibraryIdentity identity = library_identity(library);
  const ChildEnd end = in_child([&](const Say& say) { Asking(library, say).run(read); }, limit());
  probe = judged(end, read);
  probe.sidecar.library = identity;
  probe.sidecar.headers = read.header_hash;
  return probe;
}

std::filesystem::path KeptProbes::file_of(const LibraryIdentity& library) const {
  return folder_ / cat(library.build_id.substr(0, 16), "-", library.sha256.substr(0, 16), ".json");
}

std::optional<Probe> KeptProbes::find(const LibraryIdentity& library) const {
  const std::string file = file_of(library).string();
  if (folder_.empty() || !exists(file)) return std::nullopt;
  try {
    const Json all = read_json(file);
    Probe probe;
    all.at("fault").get_to(probe.fault);
    all.at("absent").get_to(probe.absent);
    probe.sidecar = parse_sidecar(all.at("sidecar"), file);
    if (probe.sidecar.library != library) return std::nullopt;
    return probe;
  } catch (const std::exception&) {
    return std::nullopt;  // of an earlier version, or damaged: the library is asked again
  }
}

void KeptProbes::keep(const LibraryIdentity& library, Probe& probe) const {
  const bool dead = probe.fault.starts_with("E106");
  if (dead) probe.fault += ". Retry: lathe plugins --probe";
  // What the system could not load may be installed a minute later.
  if (folder_.empty() || probe.fault.starts_with("E103")) return;
  try {
    make_folders(real_files(), folder_.string());
    const std::filesystem::path file = file_of(library);
    if (dead) {
      const std::filesystem::path log = std::filesystem::path(file).replace_extension(".log");
      write_durably(log.string(), cat(probe.fault, "\n", probe.output));
      probe.fault += cat(". Log: ", log.string());
    }
    const Json all = {
        {"fault", probe.fault}, {"absent", probe.absent}, {"sidecar", sidecar_text(probe.sidecar)}};
    write_durably(file.string(), all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  } catch (const Error& error) {
    log_warning("the result of a plugin's probe is not kept: ", error.what());
  }
}

std::filesystem::path probe_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::filesystem::path(cache) / "lathe/plugins";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return std::filesystem::path(home) / ".cache/lathe/plugins";
}

}  // namespace lathe
