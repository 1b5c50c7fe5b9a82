#include <lathe/base/random.h>
#include <lathe/data/mitigation.h>
#include <lathe/data/text_files.h>

#include <map>

namespace lathe {

Counterfactual::Counterfactual(const CounterfactualOptions& with, const DataContext& context)
    : with_(with), pairs_(WordPairs::gendered()), seed_(context.seed) {
  if (with.word_pairs.empty()) return;
  const TextFile text = read_text_file(input_path(with.config(), "word_pairs", context.folder));
  pairs_ = WordPairs::parse(text.text, text.file.path.string());
  file_ = text.file;
}

bool Counterfactual::exchanges(std::int64_t i) const {
  const RandomStream stream(seed_, "counterfactual");
  return exchanges() && stream.uniform53(static_cast<std::uint64_t>(i)) < with_.swap_chance;
}

std::string Counterfactual::side_of(std::span<const std::string_view> texts) const {
  WordPairs::Sides all;
  for (const std::string_view text : texts) {
    const WordPairs::Sides sides = pairs_.sides(text);
    all.first = all.first || sides.first;
    all.second = all.second || sides.second;
  }
  if (all.first == all.second) return "";
  return all.first ? "first" : "second";
}

namespace {
std::map<std::string, double> named_factors(const ReweightOptions& with,
                                            const std::map<std::string, double>& counts) {
  std::map<std::string, double> factors;
  for (const auto& [name, value] : with.group_weights.members()) {
    const double factor = value.as<double>();
    if (!(factor >= 0)) {
      fail(value.where(), ": the factor of group '", name, "' is ", factor,
           ", allowed: at least 0");
    }
    factors[name] = factor;
  }
  std::string found;
  for (const auto& [name, count] : counts) found += (found.empty() ? "'" : ", '") + name + "'";
  for (const auto& [name, factor] : factors) {
    if (!counts.contains(name)) {
      fail(with.group_weights.where(), ": no training row is of group '", name,
           "'; the groups are: ", found.empty() ? "none" : found);
    }
  }
  for (const auto& [name, count] : counts) {
    if (!factors.contains(name)) {
      fail(with.config().where(), ": ", count, " training rows are of group '", name,
           "', which group_weights does not name");
    }
  }
  return factors;
}
}  // namespace

std::vector<double> group_factors(const ReweightOptions& with,
                                  std::span<const std::string> groups) {
  std::map<std::string, double> counts;
  double grouped = 0;
  for (const std::string& group : groups) {
    if (group.empty()) continue;
    counts[group] += 1;
    grouped += 1;
  }
  std::map<std::string, double> factors;
  if (with.reweight != "named" && !with.group_weights.members().empty()) {
    fail(with.group_weights.where(), ": group_weights need reweight = \"named\", which is \"",
         with.reweight, "\" here");
  }
  if (with.reweight == "named") factors = named_factors(with, counts);
  if (with.reweight == "inverse") {
    for (const auto& [name, count] : counts) {
      factors[name] = grouped / (static_cast<double>(counts.size()) * count);
    }
  }
  std::vector<double> all;
  for (const std::string& group : groups) {
    const auto found = factors.find(group);
    all.push_back(found == factors.end() ? 1 : found->second);
  }
  return all;
}

}  // namespace lathe
