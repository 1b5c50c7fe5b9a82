// Which algorithm computes a product: measured at its first use among the library's best
// candidates, remembered for the run, and kept in a file of the user's cache for the next.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "product.h"

namespace lathe::cuda {

// $XDG_CACHE_HOME/lathe/cuda or ~/.cache/lathe/cuda; empty where the environment names neither.
std::filesystem::path cache_folder();

class ProductChoices {
 public:
  struct Choice {
    Algorithm algorithm;
    float milliseconds = 0;  // 0: not measured
  };

  // With `measure` false, always the library's first candidate: the same on every machine with this
  // library and device. An empty folder keeps nothing.
  ProductChoices(std::unique_ptr<ProductLibrary> library, bool measure,
                 const std::filesystem::path& folder);

  // Nothing where the library cannot do the product. Measuring runs it on the operands, so D must
  // hold nothing that is still needed: with `adds`, C is read and D written several times, which is
  // the same each time only where they are apart. Where they are not, `trial` is written instead of
  // D.
  std::optional<Choice> choose(const Product& product, const ProductOperands& operands, void* trial,
                               Stream stream);
  void run(const Product& product, const Choice& choice, const ProductOperands& operands,
           Stream stream) {
    library_->run(product, choice.algorithm, operands, stream);
  }
  // Milliseconds of anything else, measured once and kept like a choice; nothing where `run`
  // cannot.
  std::optional<float> cost(const std::string& key, const std::function<bool()>& run,
                            Stream stream);
  bool knows(const Product& product) const {
    return chosen_.contains(product) || known_.contains(product.key());
  }
  bool measures() const { return measure_; }

 private:
  Choice measured(const Product& product, const std::vector<Algorithm>& candidates,
                  const ProductOperands& operands, Stream stream);
  void read();
  void append(const std::string& key, const Choice& choice) const;

  std::unique_ptr<ProductLibrary> library_;
  bool measure_;
  std::filesystem::path file_;
  std::map<std::string, std::optional<Choice>> known_;  // by key: from the file, and costs
  std::map<Product, std::optional<Choice>> chosen_;     // of this run
};

}  // namespace lathe::cuda
