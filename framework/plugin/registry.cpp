#include <lathe/base/error.h>
#include <lathe/config/nearest.h>
#include <lathe/plugin/registry_parts.h>
#include <lathe/plugin/stamp_reader.h>

#include <algorithm>

namespace lathe {
namespace filesystem = std::filesystem;

namespace {
std::string called(std::string_view kind, std::string_view name) {
  return cat(kind, " '", name, "'");
}

std::string listed(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += cat(text.empty() ? "" : ", ", part);
  return text;
}
}  // namespace

Registry::Registry(PluginPlaces places) : places_(std::move(places)) {}
Registry::~Registry() = default;

void Registry::add_built_in(const Stamp& stamp, Descriptor (*make)(const Stamp&)) {
  const std::lock_guard lock(mutex_);
  if (built_in(stamp.kind.view(), stamp.name.view())) {
    fail(called(stamp.kind.view(), stamp.name.view()), " is added twice");
  }
  stamps_.push_back(stamp);
  built_in_.push_back(make(stamps_.back()));
}

const Descriptor* Registry::built_in(std::string_view kind, std::string_view name) const {
  for (const Descriptor& descriptor : built_in_) {
    if (descriptor.kind() == kind && descriptor.name() == name) return &descriptor;
  }
  return nullptr;
}

// The first candidate in the order of search; nullptr when no file offers the component.
const Registry::Candidate* Registry::chosen(std::string_view kind, std::string_view name) {
  scan();
  const Candidate* best = nullptr;
  const Candidate* twin = nullptr;
  const Candidate* refused = nullptr;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.offers(kind, name)) continue;
    if (!candidate.fault.empty()) {
      if (!refused) refused = &candidate;
    } else if (!best) {
      best = &candidate;
    } else if (candidate.tier == best->tier && candidate.file != best->file) {
      twin = &candidate;
    }
  }
  if (twin) {
    fail("E107 ", called(kind, name),
         " is provided by two files of one folder: ", best->file.string(), " and ",
         twin->file.string(), ". Choose one: [plugins] ", name, " = \"PATH\"");
  }
  if (!best && refused) {
    fail(refused->fault, " (file ", refused->file.string(), ")");
  }
  return best;
}

void Registry::not_found(std::string_view kind, std::string_view name) {
  std::vector<std::string> places;
  for (const filesystem::path& folder : searched_) places.push_back(folder.string());
  std::vector<std::string> rejected;
  for (const Candidate& candidate : candidates_) {
    if (candidate.fault.empty()) continue;
    rejected.push_back(cat(candidate.stamp.name.view(), " (", candidate.fault, ")"));
  }
  const auto explicit_file = places_.files.find(std::string(name));
  const std::vector<std::string> known = names(kind);
  fail(
      "E104 no ", called(kind, name), ".", suggestion(name, known),
      known.empty() ? "" : cat(" Known: ", listed(known), "."),
      explicit_file == places_.files.end()
          ? ""
          : cat(" The file of [plugins], ", explicit_file->second.string(), ", does not offer it."),
      places.empty() ? "" : cat(" Searched: ", listed(places), "."),
      rejected.empty() ? "" : cat(" Found but rejected: ", listed(rejected), "."));
}

// The file's candidate, or nullptr where the framework's own component is the one.
const Registry::Candidate* Registry::located(std::string_view kind, std::string_view name) {
  const bool own = built_in(kind, name) != nullptr;
  if (own && !places_.files.contains(std::string(name))) return nullptr;
  const Candidate* candidate = chosen(kind, name);
  if (candidate == nullptr && !own) not_found(kind, name);
  return candidate;
}

const Descriptor& Registry::find(std::string_view kind, std::string_view name,
                                 int interface_version) {
  const std::lock_guard lock(mutex_);
  const Candidate* candidate = located(kind, name);
  if (candidate == nullptr) return *built_in(kind, name);
  const std::string fault =
      interface_version == 0 ? "" : interface_fault(candidate->stamp, interface_version);
  if (!fault.empty()) fail(fault, " (file ", candidate->file.string(), ")");
  return load(*candidate);
}

const Description& Registry::describe(std::string_view kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const Candidate* candidate = located(kind, name);
  if (candidate != nullptr) return described(*candidate);
  const std::string key = called(kind, name);
  const auto found = built_in_descriptions_.find(key);
  if (found != built_in_descriptions_.end()) return found->second;
  return built_in_descriptions_.emplace(key, description_of(*built_in(kind, name), ""))
      .first->second;
}

void* Registry::create_any(const Descriptor& descriptor, const Config& config) {
  const std::string name = called(descriptor.kind(), descriptor.name());
  if (descriptor.describe) {
    Schema schema;
    descriptor.describe(schema);
    demand(config, schema, name);
  }
  try {
    return descriptor.create(config);
  } catch (const Unavailable& reason) {
    const std::lock_guard lock(mutex_);
    unavailable_[name] = reason.what();
    throw Unavailable(cat(name, " is unavailable: ", reason.what()));
  } catch (const std::exception& error) {
    fail(name, ": ", error.what());
  } catch (...) {
    fail(name,
         ": its constructor threw something that is not an exception of the standard library");
  }
}

std::vector<PluginState> Registry::states() {
  const std::lock_guard lock(mutex_);
  scan();
  std::vector<PluginState> states;
  for (const Descriptor& descriptor : built_in_) {
    states.push_back(state_of(*descriptor.stamp, nullptr));
  }
  for (const Candidate& candidate : candidates_) {
    PluginState state = state_of(candidate.stamp, &candidate);
    const Stamp& stamp = candidate.stamp;
    if (state.state != "rejected") note_shadow(state, stamp, candidate.tier);
    states.push_back(std::move(state));
  }
  return states;
}

PluginState Registry::state_of(const Stamp& stamp, const Candidate* candidate) {
  PluginState state{.name = std::string(stamp.name.view()),
                    .kind = std::string(stamp.kind.view()),
                    .version = std::string(stamp.version.view()),
                    .state = "ready",
                    .reason = {},
                    .file = {},
                    .shadowed_by = {}};
  const std::string name = called(state.kind, state.name);
  std::string absent;
  if (const auto found = unavailable_.find(name); found != unavailable_.end()) {
    absent = found->second;
  }
  if (candidate != nullptr) {
    state.file = candidate->file;
    state.reason = candidate->fault;
    const Probe* probe = state.reason.empty() ? known(candidate->file, false) : nullptr;
    if (probe != nullptr) state.reason = probe->fault;
    if (probe != nullptr && absent.empty() && probe->absent.contains(name)) {
      absent = probe->absent.at(name);
    }
    if (!state.reason.empty()) {
      state.state = "rejected";
      return state;
    }
    if (libraries_[candidate->file].loaded) state.state = "loaded";
  }
  if (!absent.empty()) {
    state.state = "unavailable";
    state.reason = absent;
  }
  return state;
}

void Registry::note_shadow(PluginState& state, const Stamp& stamp, std::size_t tier) const {
  const auto first =
      std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
        return other.fault.empty() && other.offers(stamp.kind.view(), stamp.name.view());
      });
  const bool own = tier > 0 && built_in(stamp.kind.view(), stamp.name.view());
  if (!own && first->tier == tier) return;
  state.state = "shadowed";
  state.reason = own ? "the framework has its own" : "";
  if (!own) state.shadowed_by = first->file;
}

std::vector<std::string> Registry::names(std::string_view kind) {
  const std::lock_guard lock(mutex_);
  scan();
  std::vector<std::string> names;
  for (const Descriptor& descriptor : built_in_) {
    if (descriptor.kind() == kind) names.emplace_back(descriptor.name());
  }
  for (const Candidate& candidate : candidates_) {
    if (candidate.fault.empty() && candidate.stamp.kind.view() == kind) {
      names.emplace_back(candidate.stamp.name.view());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

filesystem::path Registry::file_of(std::string_view kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const Candidate* candidate = located(kind, name);
  return candidate == nullptr ? filesystem::path() : candidate->file;
}

std::string Registry::manual_of(std::string_view kind, std::string_view name) {
  return describe(kind, name).manual;
}

std::vector<std::string> Registry::providers(std::string_view word) {
  const std::lock_guard lock(mutex_);
  scan();
  std::vector<std::string> names;
  const auto note = [&](const Description& component) {
    if (component.offers(word)) names.push_back(called(component.kind, component.name));
  };
  for (const Descriptor& own : built_in_) note(description_of(own, ""));
  for (const Candidate& candidate : candidates_) {
    const Probe* probe = candidate.fault.empty() ? known(candidate.file, false) : nullptr;
    const Description* found =
        probe == nullptr || !probe->fault.empty()
            ? nullptr
            : probe->sidecar.find(candidate.stamp.kind.view(), candidate.stamp.name.view());
    if (found != nullptr) note(*found);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace lathe
