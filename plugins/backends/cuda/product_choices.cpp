#include "product_choices.h"

#include <lathe/base/error.h>
#include <lathe/base/hash.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

namespace lathe::cuda {
namespace {
constexpr int most_candidates = 8;
constexpr int measured_runs = 3;  // after one that warms up
constexpr const char* header = "lathe cuda products 1";
}  // namespace

std::string Product::key() const {
  const auto matrix = [](const ColumnMajor& of) {
    return cat(of.rows, "x", of.columns, "/", of.leading, "+", of.batch_step);
  };
  return cat(m, "x", n, "x", k, "*", batch, " ", transpose_a ? "t" : "n", transpose_b ? "t" : "n",
             " a", matrix(a), " b", matrix(b), " d", matrix(d), " c", c_leading, " ", name_of(in),
             ">", name_of(out), adds ? " adds" : "", has_bias ? " bias" : "", has_aux ? " aux" : "",
             " e", static_cast<int>(epilogue), tf32 ? " tf32" : "", " @", alignment);
}

std::filesystem::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::filesystem::path(cache) / "lathe/cuda";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return std::filesystem::path(home) / ".cache/lathe/cuda";
}

ProductChoices::ProductChoices(std::unique_ptr<ProductLibrary> library, bool measure,
                               const std::filesystem::path& folder)
    : library_(std::move(library)), measure_(measure) {
  if (!measure_ || folder.empty()) return;
  const std::string name = Sha256().update(library_->identity()).hex().substr(0, 16);
  file_ = folder / cat("products-", name, ".txt");
  read();
}

// A line each: eight words, milliseconds, the key. What does not read so is passed over: the cost
// is one measurement.
void ProductChoices::read() {
  std::ifstream file(file_);
  std::string line;
  if (!std::getline(file, line) || line != header) return;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    Choice choice;
    words >> std::hex;
    for (std::uint64_t& word : choice.algorithm.words) words >> word;
    std::string key;
    if (words >> choice.milliseconds && std::getline(words >> std::ws, key)) known_[key] = choice;
  }
}

// Appended in one write, so that several runs can share the file; a folder that cannot be written
// keeps nothing.
void ProductChoices::append(const std::string& key, const Choice& choice) const {
  if (file_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  const bool fresh = !std::filesystem::exists(file_, ignored);
  std::ostringstream line;
  if (fresh) line << header << '\n';
  line << std::hex;
  for (const std::uint64_t word : choice.algorithm.words) line << word << ' ';
  line << choice.milliseconds << ' ' << key << '\n';
  std::ofstream(file_, std::ios::app) << line.str() << std::flush;
}

ProductChoices::Choice ProductChoices::measured(const Product& product,
                                                const std::vector<Algorithm>& candidates,
                                                const ProductOperands& operands, Stream stream) {
  Choice best{candidates.front(), std::numeric_limits<float>::infinity()};
  for (const Algorithm& candidate : candidates) {
    library_->run(product, candidate, operands, stream);
    library_->lap(stream);
    for (int i = 0; i < measured_runs; ++i) library_->run(product, candidate, operands, stream);
    const float each = library_->lap(stream) / static_cast<float>(measured_runs);
    if (each < best.milliseconds) best = {candidate, each};
  }
  return best;
}

std::optional<ProductChoices::Choice> ProductChoices::choose(const Product& product,
                                                             const ProductOperands& operands,
                                                             void* trial, Stream stream) {
  const auto chosen = chosen_.find(product);
  if (chosen != chosen_.end()) return chosen->second;
  if (chosen_.size() > 4096) chosen_.clear();  // shapes that never come back
  const std::string key = product.key();
  const auto found = known_.find(key);
  if (found != known_.end()) return chosen_.emplace(product, found->second).first->second;
  const std::vector<Algorithm> candidates =
      library_->candidates(product, measure_ ? most_candidates : 1);
  std::optional<Choice> choice;
  if (!candidates.empty()) choice = Choice{candidates.front(), 0};
  if (choice && measure_) {
    ProductOperands tried = operands;
    if (trial != nullptr) tried.d = trial;
    choice = measured(product, candidates, tried, stream);
    append(key, *choice);
  }
  return chosen_.emplace(product, choice).first->second;
}

std::optional<float> ProductChoices::cost(const std::string& key, const std::function<bool()>& run,
                                          Stream stream) {
  const auto found = known_.find(key);
  if (found != known_.end()) {
    return found->second ? std::optional(found->second->milliseconds) : std::nullopt;
  }
  if (!run()) {
    known_.emplace(key, std::nullopt);
    return std::nullopt;
  }
  library_->lap(stream);
  for (int i = 0; i < measured_runs; ++i) run();
  const Choice choice{{}, library_->lap(stream) / static_cast<float>(measured_runs)};
  append(key, choice);
  known_.emplace(key, choice);
  return choice.milliseconds;
}

}  // namespace lathe::cuda
