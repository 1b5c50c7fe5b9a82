// Pairs of texts that differ in whom they are about: what a fairness audit compares.
#pragma once

#include <lathe/data/dataset.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// `more` is the text that says the stereotype, or more of it.
struct TextPair {
  std::string more;
  std::string less;
  std::string group;      // "": none
  std::string direction;  // "": none
  std::string file;       // its name, without the folder
  std::uint64_t line = 0;
};

// Which tokens of a text a bidirectional model is asked for (see audit.h).
enum class PairRule : std::uint8_t { shared, differing };
std::string_view name_of(PairRule rule);  // "shared", "differing"

// A pair that says nothing, and why.
struct LeftOut {
  std::string file;
  std::uint64_t line = 0;
  std::string reason;
};

struct PairSet {
  std::string name;  // "crows_pairs", "winobias", or of the file
  PairRule rule = PairRule::shared;
  std::vector<DataFile> files;
  std::vector<TextPair> pairs;
  std::vector<LeftOut> left_out;  // faults of the data itself
};

// CrowS-Pairs (Nangia et al., 2020): a CSV with the columns sent_more, sent_less, bias_type (the
// group) and stereo_antistereo (the direction: "stereo" where the pair was written from a sentence
// that says a stereotype of a disadvantaged group, "antistereo" where from one against it).
PairSet read_crows_pairs(const std::filesystem::path& file);

// WinoBias (Zhao et al., 2018): a folder with {pro,anti}_stereotyped_type{1,2}.txt.dev, or .test,
// in step line by line. `more` is the text whose pronoun fits the stereotype of the occupation; the
// group is the type, the direction the gender of that pronoun, "female" or "male". Lines that
// differ in more than what stands in square brackets, or in nothing, are left out.
PairSet read_winobias(const std::filesystem::path& folder);

// JSON Lines with "more" and "less", and optionally "group" and "direction": strings. Other keys
// mean nothing.
PairSet read_pair_file(const std::filesystem::path& file);

// "crows_pairs" and "winobias" lie in `data` (crows-pairs/crows_pairs_anonymized.csv and
// winobias/); else a path: a folder is WinoBias, *.csv CrowS-Pairs, all others JSON Lines.
PairSet read_pairs(const std::string& name, const std::filesystem::path& data);

}  // namespace lathe
