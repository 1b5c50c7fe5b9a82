// A model whose every answer is known: the texts are a Markov chain in its stationary state, and
// the model gives p(token at a place | whatever is not hidden) in closed form. With the nearest
// token l that is seen a places to the left, and r, b places to the right,
//
//   p(v) = (P^a)[l, v] (P^b)[v, r] / (P^(a+b))[l, r]
//
// where pi[v] stands for (P^a)[l, v] when nothing is seen on the left, and 1 for (P^b)[v, r] when
// nothing is on the right.
#pragma once

#include <lathe/learn/model.h>
#include <lathe/tensor/ops.h>
#include <lathe/text/tokenizer.h>

#include <cmath>
#include <vector>

namespace lathe::testing {

// K letters, ids 0..K-1; the tokens after them are special and have no chance.
class MarkovField final : public Model {
 public:
  using Matrix = std::vector<std::vector<double>>;

  MarkovField(Matrix chain, const Tokenizer& tokenizer, std::int64_t context)
      : tokenizer_(tokenizer), context_(context), letters_(chain.size()) {
    Matrix identity(letters_, std::vector<double>(letters_, 0));
    for (std::size_t i = 0; i < letters_; ++i) identity[i][i] = 1;
    powers_.push_back(identity);
    for (std::int64_t n = 0; n < std::max<std::int64_t>(context, 200); ++n) {
      powers_.push_back(product(powers_.back(), chain));
    }
    start_ = powers_.back()[0];  // all rows are alike by then
  }

  void build(Parameters& parameters, const ModelFit&) override {
    head_ = &parameters.matrix("head", {tokenizer_.size(), width()}, Initial::zeros());
  }
  // After the parameters are allocated, in f64.
  void set() {
    auto* head = head_->master.view().as<double>();
    const auto letters = static_cast<std::int64_t>(letters_);
    for (std::int64_t v = 0; v < tokenizer_.size(); ++v) {
      double* row = head + v * width();
      std::fill(row, row + width(), v < letters ? 0 : -1e4);
      if (v >= letters) continue;
      row[nothing(false)] = std::log(start_[at(v)]);
      for (std::int64_t distance = 1; distance < context_; ++distance) {
        for (std::int64_t other = 0; other < letters; ++other) {
          row[seen(false, distance, other)] = std::log(powers_[at(distance)][at(other)][at(v)]);
          row[seen(true, distance, other)] = std::log(powers_[at(distance)][at(v)][at(other)]);
        }
      }
    }
  }

  Tensor hidden(const ModelInput& input) const override {
    const auto& backend = head_->master.shared_backend();
    const std::vector<double> tokens = input.tokens.values();
    const std::int64_t rows = input.places.rows, length = input.places.length;
    std::vector<double> segments(tokens.size(), 0);
    if (input.places.segments) segments = input.places.segments.values();
    std::vector<double> all(tokens.size() * static_cast<std::size_t>(width()), 0);
    for (std::int64_t n = 0; n < rows * length; ++n) {
      for (const bool right : {false, true}) {
        std::int64_t at_hidden = nothing(right);
        const std::int64_t end = right ? (n / length + 1) * length : n / length * length - 1;
        const std::int64_t step = right ? 1 : -1;
        for (std::int64_t m = n + step; m != end; m += step) {
          if (segments[at(m)] != segments[at(n)]) break;
          const auto token = static_cast<std::int64_t>(tokens[at(m)]);
          if (token >= static_cast<std::int64_t>(letters_)) continue;
          at_hidden = seen(right, (m - n) * step, token);
          break;
        }
        all[at(n * width() + at_hidden)] = 1;
      }
    }
    return Tensor::of<double>(backend, {rows * length, width()}, all);
  }
  bool causal() const override { return false; }
  const Parameter& head() const override { return *head_; }
  std::int64_t context() const override { return context_; }

  // The chance of a whole text.
  double chance(const std::vector<std::int32_t>& text) const {
    double p = start_[at(text[0])];
    for (std::size_t t = 1; t < text.size(); ++t) {
      p *= powers_[1][at(text[t - 1])][at(text[t])];
    }
    return p;
  }
  // p(token at `place` | all other tokens), straight from the chances of whole texts.
  double conditional(std::vector<std::int32_t> text, std::size_t place) const {
    const double own = chance(text);
    double all = 0;
    for (std::size_t v = 0; v < letters_; ++v) {
      text[place] = static_cast<std::int32_t>(v);
      all += chance(text);
    }
    return own / all;
  }

 private:
  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
  static Matrix product(const Matrix& a, const Matrix& b) {
    Matrix c(a.size(), std::vector<double>(a.size(), 0));
    for (std::size_t i = 0; i < a.size(); ++i) {
      for (std::size_t k = 0; k < a.size(); ++k) {
        for (std::size_t j = 0; j < a.size(); ++j) c[i][j] += a[i][k] * b[k][j];
      }
    }
    return c;
  }
  // Of the hidden state: which token is nearest on each side, and how far it is.
  std::int64_t side() const { return 1 + context_ * static_cast<std::int64_t>(letters_); }
  std::int64_t width() const { return 2 * side(); }
  std::int64_t nothing(bool right) const { return right ? side() : 0; }
  std::int64_t seen(bool right, std::int64_t distance, std::int64_t token) const {
    return nothing(right) + 1 + distance * static_cast<std::int64_t>(letters_) + token;
  }

  const Tokenizer& tokenizer_;
  std::int64_t context_;
  std::size_t letters_;
  std::vector<Matrix> powers_;  // of the chain
  std::vector<double> start_;
  Parameter* head_ = nullptr;
};

}  // namespace lathe::testing
