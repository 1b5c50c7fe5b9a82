#include <lathe/base/file.h>
#include <lathe/host/component_text.h>
#include <lathe/run/experiment.h>

#include <algorithm>
#include <cstdio>
#include <map>

namespace lathe {
namespace {
// "[data]" for the kind "dataset"; "[[reward]]" where there may be many.
std::string heading_of(const std::string& kind) {
  for (const Slot& slot : slots()) {
    if (slot.kind != kind) continue;
    return slot.many ? cat("[[", slot.table, "]]") : cat("[", slot.table, "]");
  }
  return cat("[", kind, "]");
}

std::string stand_in(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "false";
    case OptionType::int32:
    case OptionType::int64:
      return "0";
    case OptionType::float32:
    case OptionType::float64:
      return "0.0";
    case OptionType::text:
      return "\"...\"";
    case OptionType::table:
      return "{}";
    default:
      return "[]";
  }
}

std::string joined(const std::vector<std::string>& words, const char* quote) {
  std::string text;
  for (const std::string& word : words) text += cat(text.empty() ? "" : ", ", quote, word, quote);
  return text;
}

// Of a table in Markdown.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

std::string code(const std::string& text) { return text.empty() ? "" : cat("`", text, "`"); }

std::string option_row(const Option& option) {
  const std::string allowed = option.allowed_text();
  return cat("| `", option.name, "` | ", name_of(option.type), " | ",
             option.required ? "required" : code(cell(option.default_text())), " | ", cell(allowed),
             " | ", cell(option.meaning), option.affects_result ? "" : " (changes no result)",
             " |\n");
}
}  // namespace

std::string toml_block(const Description& component) {
  std::string text = cat(heading_of(component.kind), "\nuse = \"", component.name, "\"\n");
  const Schema schema = table_schema(component);
  for (const Option& option : schema.options) {
    text += option.required ? cat(option.name, " = ", stand_in(option.type), "  # required\n")
                            : cat(option.name, " = ", option.default_text(), "\n");
  }
  return text;
}

std::string option_lines(const Description& component) {
  std::string text;
  const std::string gap(24, ' ');
  const Schema schema = table_schema(component);
  for (const Option& option : schema.options) {
    std::string name = option.name;
    name.resize(std::max<std::size_t>(name.size(), 20), ' ');
    text += cat("  ", name, " ", name_of(option.type), ", ",
                option.required ? std::string("required") : cat("default ", option.default_text()));
    if (!option.allowed_text().empty()) text += cat(", ", option.allowed_text());
    text += cat("\n", gap, "  ", option.meaning,
                option.affects_result ? "" : " (changes no result)", "\n");
  }
  return text;
}

std::string markdown_section(const PluginState& state, const Description& component) {
  const std::string place = state.file.empty()
                                ? std::string("part of the framework")
                                : cat("plugin file `", state.file.filename().string(), "`");
  std::string text =
      cat("## ", component.name, "\n\nVersion ", component.version, ", ", place, ".");
  if (!component.needs.empty()) text += cat(" Needs ", joined(component.needs, "\""), ".");
  if (!component.provides.empty()) text += cat(" Provides ", joined(component.provides, "\""), ".");
  text += "\n";
  if (!component.manual.empty()) {
    const bool ends = component.manual.back() == '\n';
    text += cat("\n```text\n", component.manual, ends ? "" : "\n", "```\n");
  }
  const Schema schema = table_schema(component);
  if (schema.options.empty()) return text + "\nIt has no options.\n";
  text += "\n| option | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const Option& option : schema.options) text += option_row(option);
  return text + cat("\n```toml\n", toml_block(component), "```\n");
}

std::vector<std::string> write_pages(const std::string& folder, Registry& registry) {
  std::map<std::string, std::map<std::string, std::string>> sections;  // by kind and name
  for (const PluginState& state : registry.states()) {
    if (state.state == "rejected" || state.state == "shadowed") continue;
    sections[state.kind][state.name] =
        markdown_section(state, registry.describe(state.kind, state.name));
  }
  make_folders(real_files(), folder);
  std::vector<std::string> written;
  for (const auto& [kind, parts] : sections) {
    std::string page = cat("# Components of the kind ", kind,
                           "\n\n<!-- Written by `lathe plugins --markdown FOLDER`: not to be "
                           "edited by hand. -->\n\nOne of them is chosen by `use` in the table `",
                           heading_of(kind), "` of an experiment.\n");
    for (const auto& [name, section] : parts) page += cat("\n", section);
    written.push_back(cat(folder, "/", kind, ".md"));
    write_durably(written.back(), page);
  }
  return written;
}

}  // namespace lathe
