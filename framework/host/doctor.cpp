// lathe doctor: what this machine has, which plugins it can and cannot use, and what to do about
// it.
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/base/threads.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/core_library.h>
#include <lathe/tensor/backend.h>

#include <dlfcn.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description&) {}

// The rest of the first line of a file that begins with `start`, behind its colon.
std::string line_of(const char* file, const std::string& start) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t begin = line.find_first_not_of(" \t", colon == line.npos ? 0 : colon + 1);
    return begin == line.npos ? "" : line.substr(begin);
  }
  return "";
}

std::string instructions() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  std::string all;
  const auto has = [&](bool there, const char* name) {
    if (there) all += (all.empty() ? "" : ", ") + std::string(name);
  };
  has(__builtin_cpu_supports("avx2"), "avx2");
  has(__builtin_cpu_supports("fma"), "fma");
  has(__builtin_cpu_supports("avx512f"), "avx512f");
  has(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  return all;
#else
  return "";
#endif
}

Json host_facts() {
  utsname system{};
  uname(&system);
  const auto pages = static_cast<std::uint64_t>(std::max(0L, sysconf(_SC_PHYS_PAGES)));
  const auto page = static_cast<std::uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
  return {{"version", LATHE_VERSION},
          {"headers", header_hash()},
          {"compiler", __VERSION__},
          {"system", cat(system.sysname, " ", system.release, " ", system.machine)},
          {"processor", line_of("/proc/cpuinfo", "model name")},
          {"instructions", instructions()},
          {"threads", threads()},
          {"memory_mib", (pages * page) >> 20}};
}

// A library of the CUDA family, whose version a function of it tells.
struct GpuLibrary {
  const char* name;
  std::vector<const char*> files;
  const char* version;  // size_t or int f(), or int f(int*): see `fills`
  bool fills;
  const char* without;  // what it means that it is not there
};

const std::vector<GpuLibrary>& gpu_libraries() {
  static const std::vector<GpuLibrary> all{
      {"driver",
       {"libcuda.so.1"},
       "cuDriverGetVersion",
       true,
       "no GPU can be used: install NVIDIA's driver"},
      {"cuBLASLt",
       {"libcublasLt.so.13", "libcublasLt.so.12"},
       "cublasLtGetVersion",
       false,
       "the backend cuda cannot multiply: install the CUDA Toolkit's libcublas"},
      {"cuDNN",
       {"libcudnn.so.9"},
       "cudnnGetVersion",
       false,
       "attention runs on the plugin's own kernels: install cuDNN 9 for its"},
      {"NCCL", {"libnccl.so.2"}, "ncclGetVersion", true, "one GPU a run: install NCCL for more"}};
  return all;
}

std::uint64_t version_of(void* library, const GpuLibrary& of) {
  void* function = dlsym(library, of.version);
  if (function == nullptr) return 0;
  if (!of.fills) return reinterpret_cast<std::size_t (*)()>(function)();
  int version = 0;
  reinterpret_cast<int (*)(int*)>(function)(&version);
  return static_cast<std::uint64_t>(version);
}

Json gpu_facts() {
  Json libraries = Json::array();
  for (const GpuLibrary& wanted : gpu_libraries()) {
    void* library = nullptr;
    std::string file;
    for (const char* candidate : wanted.files) {
      library = dlopen(candidate, RTLD_LAZY | RTLD_LOCAL);
      if (library == nullptr) continue;
      file = candidate;
      break;
    }
    Json entry{{"name", wanted.name}, {"found", library != nullptr}};
    if (library != nullptr) {
      entry["file"] = file;
      entry["version"] = version_of(library, wanted);
    } else {
      entry["file"] = wanted.files.front();
      entry["advice"] = wanted.without;
    }
    libraries.push_back(entry);
  }
  return {{"kernel_module", line_of("/proc/driver/nvidia/version", "NVRM version")},
          {"libraries", libraries}};
}

// What can be used of each kind, and why the rest cannot.
Json plugin_facts(Registry& registry) {
  registry.probe_all();
  Json faults = Json::array();
  std::size_t usable = 0;
  for (const PluginState& state : registry.states()) {
    if (state.state == "ready" || state.state == "loaded") ++usable;
    if (state.state != "unavailable" && state.state != "rejected") continue;
    faults.push_back({{"kind", state.kind},
                      {"name", state.name},
                      {"state", state.state},
                      {"reason", state.reason},
                      {"file", state.file.string()}});
  }
  return {{"usable", usable}, {"faults", faults}};
}

Json backend_facts(Registry& registry) {
  Json all = Json::array();
  for (const std::string& name : registry.names("backend")) {
    Json entry{{"name", name}};
    try {
      entry["device"] = registry.create<Backend>(name, Config())->device();
      entry["works"] = true;
    } catch (const std::exception& reason) {
      entry["works"] = false;
      entry["reason"] = reason.what();
    }
    all.push_back(entry);
  }
  return all;
}

void print(const Json& facts) {
  const auto row = [](const std::string& name, const std::string& value) {
    std::printf("  %-12s %s\n", name.c_str(), value.c_str());
  };
  const Json& host = facts.at("host");
  std::printf("this machine\n");
  row("lathe", cat(host.at("version").get<std::string>(), ", headers ",
                   host.at("headers").get<std::string>(), ", built by ",
                   host.at("compiler").get<std::string>()));
  row("system", host.at("system"));
  row("processor",
      cat(host.at("processor").get<std::string>(), " (", host.at("instructions").get<std::string>(),
          "), ", host.at("threads").get<int>(), " threads"));
  row("memory", cat(host.at("memory_mib").get<std::uint64_t>(), " MiB"));
  std::printf("\nbackends\n");
  for (const Json& backend : facts.at("backends")) {
    row(backend.at("name"), backend.at("works").get<bool>()
                                ? backend.at("device").get<std::string>()
                                : "does not work: " + backend.at("reason").get<std::string>());
  }
  std::printf("\nGPU libraries\n");
  const Json& gpu = facts.at("gpu");
  const std::string module = gpu.at("kernel_module");
  row("module", module.empty() ? "no NVIDIA kernel module is loaded" : module);
  for (const Json& library : gpu.at("libraries")) {
    const std::string file = library.at("file");
    row(library.at("name"),
        library.at("found").get<bool>()
            ? cat(file, ", version ", library.at("version").get<std::uint64_t>())
            : cat("no ", file, ": ", library.at("advice").get<std::string>()));
  }
  const Json& plugins = facts.at("plugins");
  std::printf("\nplugins: %zu can be used\n", plugins.at("usable").get<std::size_t>());
  for (const Json& fault : plugins.at("faults")) {
    row(fault.at("name"),
        cat(fault.at("kind").get<std::string>(), ", ", fault.at("state").get<std::string>(), ": ",
            fault.at("reason").get<std::string>()));
  }
}

// Done where anything can be run at all.
int doctor(const Arguments& arguments, Registry& registry) {
  arguments.demand_at_most(0);
  // The probes come first: they fork, and no other thread may run then.
  Json facts{{"plugins", plugin_facts(registry)}};
  facts["host"] = host_facts();
  facts["gpu"] = gpu_facts();
  facts["backends"] = backend_facts(registry);
  if (arguments.has("json")) {
    std::printf("%s\n", facts.dump(2).c_str());
  } else {
    print(facts);
  }
  const Json& backends = facts.at("backends");
  const bool works = std::any_of(backends.begin(), backends.end(), [](const Json& backend) {
    return backend.at("works").get<bool>();
  });
  return works ? exit_done : exit_failed;
}
}  // namespace

const Verb doctor_verb{"doctor", "", "what this machine has, what is missing and what to do",
                       declare, doctor};

}  // namespace lathe
