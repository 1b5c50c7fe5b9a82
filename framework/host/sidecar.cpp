// lathe sidecar: what plugin libraries say about themselves, written beside them.
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/sidecar.h>

#include <cstdio>

namespace lathe {
namespace {
void declare(boost::program_options::options_description&) {}

int write_all(const Arguments& arguments, Registry&) {
  arguments.word(0, "plugin library");
  Json all = Json::array();
  for (const std::string& library : arguments.words) {
    const std::string file = write_sidecar(library).string();
    log_info("wrote ", file);
    all.push_back({{"library", library}, {"file", file}});
  }
  if (arguments.has("json")) std::printf("%s\n", all.dump(2).c_str());
  return exit_done;
}
}  // namespace

const Verb sidecar_verb{"sidecar", "LIBRARY.so ...",
                        "write beside plugin libraries what they declare", declare, write_all};

}  // namespace lathe
