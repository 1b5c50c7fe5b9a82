// Options of datasets against bias in their training texts, and what they do: counterfactual
// augmentation and weights by group. Held-out texts stay as they are.
#pragma once

#include <lathe/data/dataset.h>
#include <lathe/data/word_pairs.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct CounterfactualOptions : Keys {
  std::string counterfactual =
      key("counterfactual", "none",
          "training texts with the words of each pair exchanged: none; both, beside the texts as "
          "they are (Lu et al., 2018; Zhao et al., 2018); swap, in place of some of them (Hall "
          "Maudslay et al., 2019)",
          one_of({"none", "both", "swap"}));
  double swap_chance =
      key("swap_chance", 0.5, "swap: chance of each text to be exchanged", at_least(0), at_most(1));
  std::string word_pairs =
      key("word_pairs", "",
          "file with a pair of words a line, first and second; empty: 84 English pairs of gendered "
          "words");
};

struct ReweightOptions : Keys {
  std::string reweight =
      key("reweight", "none",
          "factor of the loss of training rows by their group: none; inverse, rows of each group "
          "weigh equally much together; named, as group_weights says",
          one_of({"none", "inverse", "named"}));
  std::string group = key("group", "",
                          "column that holds the group of a row; empty: first or second, where "
                          "words of this side of word_pairs alone are in it");
  Config group_weights =
      table("group_weights", "reweight = \"named\": factor of each group by its name, at least 0");
};

class Counterfactual {
 public:
  // Reads the pairs. Their file is relative to the context's folder.
  Counterfactual(const CounterfactualOptions& with, const DataContext& context);

  const WordPairs& pairs() const { return pairs_; }
  const std::optional<DataFile>& file() const { return file_; }  // of the pairs
  bool adds() const { return with_.counterfactual == "both"; }
  bool exchanges() const { return with_.counterfactual == "swap"; }
  // Whether text number i is the exchanged one: a function of the seed and i.
  bool exchanges(std::int64_t i) const;

  // "first" or "second" where words of one side alone are in the texts, else "".
  std::string side_of(std::span<const std::string_view> texts) const;

 private:
  CounterfactualOptions with_;
  WordPairs pairs_;
  std::optional<DataFile> file_;
  std::uint64_t seed_;
};

// Factors of rows by their groups; rows without a group ("") keep 1. With n rows in G groups and
// n_g of them in group g:
//   inverse   n / (G n_g): groups weigh equally much together, and the mean factor of the n rows
//             is 1
//   named     the factor of the group. Throws Error, with the place of the option, where a group
//             has none, or a named group has no row.
std::vector<double> group_factors(const ReweightOptions& with, std::span<const std::string> groups);

}  // namespace lathe
