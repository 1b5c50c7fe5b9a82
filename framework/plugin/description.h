// What a component says about itself. It is known without loading the component's library: from
// the sidecar beside it, or from a probe in a child process.
#pragma once

#include <lathe/config/keys.h>

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct Descriptor;

struct Description {
  std::string kind;
  std::string name;
  std::string version;
  int interface_version = 0;
  std::string compiler;
  std::string manual;
  Schema schema;
  std::vector<std::string> needs;     // words that other components of an experiment must provide
  std::vector<std::string> provides;  // beside the word of its kind

  bool offers(std::string_view word) const;  // is of this kind, or provides the word
};

// Asks the component itself. `manual_of_file` stands in where its type declares no manual. Error
// when it declares its options wrongly (see below).
Description description_of(const Descriptor& descriptor, std::string_view manual_of_file);

// "E108 ..." when the declarations of a component break the rules that config files rely on, or "":
// names in lower_case, none twice, none called "use", each with a meaning, bounds finite, choices
// not empty.
std::string declaration_fault(const Description& description);

}  // namespace lathe
