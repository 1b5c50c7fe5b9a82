#include <lathe/base/error.h>
#include <lathe/learn/reward.h>

#include <cmath>
#include <exception>
#include <limits>
#include <thread>

namespace lathe {

const double not_applicable = std::numeric_limits<double>::quiet_NaN();
bool applicable(double value) { return !std::isnan(value); }

Reward::~Reward() = default;
void Reward::open(const RewardContext&) {}

namespace {
// What a part has said, checked.
void check(const Scores& scores, const Completions& completions, const std::string& name) {
  if (scores.values.size() != completions.size()) {
    fail("reward '", name, "' gave ", scores.values.size(), " values for ", completions.size(),
         " completions");
  }
  for (const double value : scores.values) {
    if (std::abs(value) > static_cast<double>(std::numeric_limits<float>::max())) {
      fail("reward '", name, "' gave the value ", value, ", which f32 does not hold");
    }
  }
  if (scores.per_token.empty()) return;
  if (scores.per_token.size() != completions.size()) {
    fail("reward '", name, "' gave values per token for ", scores.per_token.size(), " of ",
         completions.size(), " completions");
  }
  for (std::size_t m = 0; m < completions.size(); ++m) {
    if (scores.per_token[m].empty()) continue;
    if (scores.per_token[m].size() != completions.tokens[m].size()) {
      fail("reward '", name, "' gave ", scores.per_token[m].size(), " values for the ",
           completions.tokens[m].size(), " tokens of completion ", m);
    }
    for (const float value : scores.per_token[m]) {
      if (!std::isfinite(value)) {
        fail("reward '", name, "' gave a token of completion ", m, " the value ", value);
      }
    }
  }
}

// The parts side by side; the first failure, in their order, is thrown.
std::vector<Scores> score_all(const std::vector<Rewards::Part>& parts,
                              const Completions& completions) {
  std::vector<Scores> all(parts.size());
  std::vector<std::exception_ptr> failures(parts.size());
  const auto work = [&](std::size_t k) {
    try {
      all[k].values.assign(completions.size(), 0);
      parts[k].reward->score(completions, all[k]);
      check(all[k], completions, parts[k].name);
    } catch (const std::exception& problem) {
      const std::string text = problem.what();
      const bool named = text.starts_with("reward '");
      failures[k] = std::make_exception_ptr(
          Error(named ? text : cat("reward '", parts[k].name, "': ", text)));
    } catch (...) {
      failures[k] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t k = 1; k < parts.size(); ++k) threads.emplace_back(work, k);
  if (!parts.empty()) work(0);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return all;
}
}  // namespace

Scores Rewards::score(const Completions& completions) const {
  const std::size_t count = completions.size();
  const std::vector<Scores> all = score_all(parts_, completions);
  Scores total;
  total.values.assign(count, 0);
  Metric whole{"score", 0, static_cast<double>(count)};
  std::vector<Metric> others;
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    Metric own{"score/" + parts_[k].name, 0, 0};
    for (std::size_t m = 0; m < count; ++m) {
      if (!applicable(all[k].values[m])) continue;
      total.values[m] += parts_[k].weight * all[k].values[m];
      own.sum += all[k].values[m];
      own.weight += 1;
    }
    if (!all[k].per_token.empty()) {
      total.per_token.resize(count);
      for (std::size_t m = 0; m < count; ++m) {
        std::vector<float>& sums = total.per_token[m];
        const std::vector<float>& more = all[k].per_token[m];
        if (sums.size() < more.size()) sums.resize(more.size());
        for (std::size_t t = 0; t < more.size(); ++t) {
          sums[t] += static_cast<float>(parts_[k].weight) * more[t];
        }
      }
    }
    others.push_back(own);
    for (Metric metric : all[k].metrics) {
      metric.name = "score/" + parts_[k].name + "/" + metric.name;
      others.push_back(metric);
    }
  }
  for (const double value : total.values) whole.sum += value;
  total.metrics.push_back(whole);
  total.metrics.insert(total.metrics.end(), others.begin(), others.end());
  return total;
}

}  // namespace lathe
