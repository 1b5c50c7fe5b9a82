#include <lathe/base/error.h>
#include <lathe/plugin/description.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {
bool is_name(std::string_view text) {
  return !text.empty() && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string fault_of_checks(const Option& option) {
  for (const Check& check : option.checks) {
    if (!std::isfinite(check.bound)) return "has a bound that is not finite";
    if (check.kind == Check::Kind::one_of && check.choices.empty()) return "has no choices";
  }
  return "";
}

std::string fault_of_option(const Option& option) {
  if (!is_name(option.name)) return "must be named in lower_case (a-z, 0-9 and _)";
  if (option.name == "use") return "has the name that chooses the plugin";
  if (option.meaning.empty()) return "has no meaning";
  return fault_of_checks(option);
}
}  // namespace

bool Description::offers(std::string_view word) const {
  return kind == word || std::find(provides.begin(), provides.end(), word) != provides.end();
}

Description description_of(const Descriptor& descriptor, std::string_view manual_of_file) {
  Description all{.kind = std::string(descriptor.kind()),
                  .name = std::string(descriptor.name()),
                  .version = std::string(descriptor.version()),
                  .interface_version = static_cast<int>(descriptor.stamp->interface_version),
                  .compiler = std::string(descriptor.stamp->compiler.view()),
                  .manual = descriptor.manual,
                  .schema = {},
                  .needs = {descriptor.needs.begin(), descriptor.needs.end()},
                  .provides = {descriptor.provides.begin(), descriptor.provides.end()}};
  if (all.manual.empty()) all.manual = manual_of_file;
  try {
    if (descriptor.describe != nullptr) descriptor.describe(all.schema);
  } catch (const std::exception& error) {
    fail("E108 ", all.kind, " '", all.name, "' cannot list its options: ", error.what(),
         ". Correct its Options and build it again");
  }
  const std::string fault = declaration_fault(all);
  if (!fault.empty()) throw Error(fault);
  return all;
}

std::string declaration_fault(const Description& description) {
  const std::string start = cat("E108 ", description.kind, " '", description.name, "' ");
  constexpr std::string_view correct = ". Correct its source and build it again";
  if (!is_name(description.name) || !is_name(description.kind)) {
    return cat(start, "must have a kind and a name in lower_case (a-z, 0-9 and _)", correct);
  }
  const std::vector<Option>& options = description.schema.options;
  for (auto option = options.begin(); option != options.end(); ++option) {
    std::string fault = fault_of_option(*option);
    if (std::any_of(options.begin(), option,
                    [&](const Option& earlier) { return earlier.name == option->name; })) {
      fault = "is declared twice";
    }
    if (!fault.empty())
      return cat(start, "declares options wrongly: '", option->name, "' ", fault, correct);
  }
  return "";
}

}  // namespace lathe
