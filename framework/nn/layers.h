// Layers: parameters with names, and how they act.
#pragma once

#include <lathe/nn/parameter.h>
#include <lathe/tensor/ops.h>

#include <string>

namespace lathe {

// What a forward pass needs to know besides its input.
struct PassOptions {
  bool training = false;  // dropout acts
  RandomStream dropout;   // of this step; each layer derives its own from it
};

// y = x w^T + b; weight [O, I].
class Linear {
 public:
  Linear() = default;
  Linear(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
         bool bias, Initial initial);

  // activation(x w^T + b) + residual
  Tensor operator()(const Tensor& x, Activation activation = Activation::none,
                    const Tensor& residual = {}, Keep keep = Keep::result) const;

 private:
  Parameter* weight_ = nullptr;
  Parameter* bias_ = nullptr;
};

// Layer norm or RMS norm with weight (from ones) and bias (from zeros).
class Normalisation {
 public:
  Normalisation() = default;
  Normalisation(Parameters& parameters, const std::string& name, std::int64_t width, Norm kind,
                bool bias, double epsilon);

  Tensor operator()(const Tensor& x, Keep keep = Keep::result) const;

 private:
  Parameter* weight_ = nullptr;
  Parameter* bias_ = nullptr;
  Norm kind_ = Norm::layer;
  double epsilon_ = 1e-5;
};

}  // namespace lathe
