#include <lathe/plugin/sources.h>

#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>

namespace lathe {
namespace {
std::string record_of(std::filesystem::path library) {
  return library.replace_extension(".source.json").string();
}
}  // namespace

void write_plugin_sources(const std::filesystem::path& library, const PluginSources& sources) {
  Json files = Json::array();
  for (const PluginSource& file : sources.files) {
    files.push_back({{"path", file.path.string()}, {"text", file.text}});
  }
  const Json record = {{"format", 1},
                       {"library_sha256", sha256_of_file(library.string())},
                       {"recipe", sources.recipe},
                       {"files", files}};
  try {
    write_durably(record_of(library), record.dump(2) + "\n");
  } catch (const nlohmann::json::type_error&) {
    fail(sources.files.at(0).path.string(), ": a source of a plugin must be UTF-8 text");
  }
}

std::optional<PluginSources> read_plugin_sources(const std::filesystem::path& library) {
  const std::string path = record_of(library);
  if (!exists(path) || !exists(library.string())) return std::nullopt;
  try {
    const Json record = read_json(path);
    if (record.at("library_sha256") != sha256_of_file(library.string())) return std::nullopt;
    PluginSources sources{record.at("recipe"), {}};
    for (const Json& file : record.at("files")) {
      sources.files.push_back({file.at("path").get<std::string>(), file.at("text")});
    }
    if (sources.files.empty()) return std::nullopt;
    return sources;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace lathe
