// An experiment in memory, on the plugins of this build: what the proofs of training begin with.
#pragma once

#include <lathe/base/hash.h>
#include <lathe/learn/components.h>
#include <lathe/run/trainer.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_folder.h"

namespace lathe::testing {

inline PluginPlaces built_plugins() {
  PluginPlaces places;
  places.user_folders = false;
  places.folders = {LATHE_PLUGINS};
  return places;
}

// A folder for one experiment, the registry with the built plugins, and an easy way to change
// single keys: Tiny tiny(text); tiny.session({"train.threads=2"}).
class Tiny {
 public:
  explicit Tiny(const std::string& experiment) : registry_(built_plugins()) {
    add_components(registry_);
    write("tiny.toml", experiment);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Experiment experiment(const std::vector<std::string>& changes = {}) {
    return Experiment(folder_ / "tiny.toml", changes, registry_);
  }
  std::unique_ptr<Session> session(const std::vector<std::string>& changes = {}) {
    const SessionRequest request{.work_folder = folder_.path(), .tokenizer_folder = {}};
    experiments_.push_back(std::make_unique<Experiment>(experiment(changes)));
    return std::make_unique<Session>(*experiments_.back(), registry_, request);
  }
  Registry& registry() { return registry_; }
  std::string operator/(const std::string& name) const { return folder_ / name; }
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  Registry registry_;
  std::vector<std::unique_ptr<Experiment>> experiments_;  // sessions go on asking theirs
};

// Problems of different lengths, for the feeds of examples; the smallest GPT that has every part.
inline const char* const tiny_sums = R"(
[data]
use = "sums"
digits = 1
train = 60
validation = 20
[tokenizer]
use = "chars"
specials = true
[feed]
use = "rows"
[model]
layers = 2
heads = 2
width = 8
hidden = 10
deviation = 0.3
[train]
batch = 2
length = 7
)";

// The bytes of a flat buffer on the host.
inline std::string hash_of(const Tensor& flat) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(flat.count()) * size_of(flat.dtype()));
  flat.backend().download(bytes.data(), flat.view().data, bytes.size());
  return sha256(bytes);
}

// Weights, moments and average of a trainer.
inline std::string hash_of(const Trainer& trainer, const Session& session) {
  std::string all = hash_of(session.parameters.master());
  for (const Tensor* flat : {&trainer.first, &trainer.second, &trainer.average}) {
    if (*flat) all += hash_of(*flat);
  }
  return sha256(all);
}

}  // namespace lathe::testing
