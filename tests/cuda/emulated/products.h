// The emulator's matrix library: plain loops that insist on what cuBLASLt asks of its callers.
#pragma once

#include <vector>

#include "product.h"

namespace lathe::cuda::emulated {

// What was asked of it, newest last, for tests of what is fused and which way operands lie.
struct Asked {
  Product product;
  Algorithm algorithm;
};
std::vector<Asked>& asked_products();
// Milliseconds that the next laps report, in order; without any each lap takes one.
std::vector<float>& coming_laps();

class PlainProducts final : public ProductLibrary {
 public:
  std::string identity() const override { return "plain loops"; }
  std::vector<Algorithm> candidates(const Product& product, int most) override;
  void run(const Product& product, const Algorithm& algorithm, const ProductOperands& operands,
           Stream stream) override;
  float lap(Stream stream) override;
};

}  // namespace lathe::cuda::emulated
