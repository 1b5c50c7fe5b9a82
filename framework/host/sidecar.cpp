// lathe sidecar: what plugin libraries say about themselves, written beside them.
#include <lathe/base/log.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/sidecar.h>

namespace lathe {
namespace {
void declare(boost::program_options::options_description&) {}

int write_all(const Arguments& arguments, Registry&) {
  arguments.word(0, "plugin library");
  for (const std::string& library : arguments.words) {
    log_info("wrote ", write_sidecar(library).string());
  }
  return exit_done;
}
}  // namespace

const Verb sidecar_verb{"sidecar", "LIBRARY.so ...",
                        "write beside plugin libraries what they declare", declare, write_all};

}  // namespace lathe
