// Small things that the suites share: hashes of results, texts, examples in memory, the reference
// backend.
#pragma once

#include <lathe/base/hash.h>
#include <lathe/conform/trial.h>
#include <lathe/data/batch.h>
#include <lathe/data/dataset.h>
#include <lathe/tensor/tensor.h>

#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace lathe::conform {

// A hash of values, bit by bit; lengths count, so that no two sequences read alike.
class Digest {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Digest& add(const T& value) {
    hash_.update(std::as_bytes(std::span(&value, 1)));
    return *this;
  }
  template <class T>
  Digest& add(const std::vector<T>& values) {
    add(values.size());
    hash_.update(std::as_bytes(std::span(values)));
    return *this;
  }
  Digest& add(std::string_view text) {
    add(text.size());
    hash_.update(text);
    return *this;
  }
  Digest& add(const Batch& batch);
  std::string hex() { return hash_.hex(); }

 private:
  Sha256 hash_;
};

// `count` characters of one to four bytes, control characters and letters without case among them.
std::string random_text(const RandomStream& random, std::int64_t count);

// A folder that vanishes with the object.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Examples of a vocabulary of 40 tokens, and the same tokens as a running text. Lengths run from 2
// to 12; the first third of each example is its prompt and has weight 0.
class Examples final : public Dataset {
 public:
  Examples(const RandomStream& random, std::int64_t count);
  static constexpr std::int64_t vocabulary = 40;
  static constexpr std::int64_t longest = 12;

  void read(const DataContext&) override {}
  std::vector<std::string_view> texts() const override { return {}; }
  void tokenise(const DataContext&) override {}
  std::int64_t size(Split) const override { return static_cast<std::int64_t>(all_.size()); }
  Example example(Split, std::int64_t index) const override {
    return all_[static_cast<std::size_t>(index)];
  }
  Example rejected(Split, std::int64_t index) const override;
  std::span<const std::int32_t> stream(Split) const override { return text_; }

 private:
  std::vector<Example> all_;
  std::vector<std::int32_t> text_;
};

// The truth that others are measured against: f64, plain loops.
std::shared_ptr<Backend> reference(const Trial& trial);

// |got - wanted| / |wanted|, over the whole; 0 where both are 0, infinity where wanted alone is.
double relative_error(const std::vector<double>& got, const std::vector<double>& wanted);

}  // namespace lathe::conform
