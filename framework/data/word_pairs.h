// Words that come in pairs, such as he and she: texts with the two sides exchanged, and which side
// a text is about.
#pragma once

#include <lathe/data/dataset.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// A word is a run of letters and digits; letter case does not matter when one is looked for.
class WordPairs {
 public:
  // About eighty English pairs of gendered words: pronouns, kinship, titles, occupations.
  static WordPairs gendered();
  // One pair a line, first and second word with white space between; "#" begins a comment. Throws
  // Error naming file and line.
  static WordPairs parse(std::string_view content, std::string_view name);

  // The text with each word of a pair replaced by its counterpart. Case is kept in three forms: all
  // lower, first letter upper, all upper (a word of one letter counts as the second); letters
  // beyond ASCII are written in lower case.
  //
  // A word in two pairs has two counterparts: the one of the pair listed first where the word
  // stands right before another word that can go on with it, else the other. So with the pairs
  // "his her", "him her", "his hers": "her book" <-> "his book", "saw her." <-> "saw him.", "it is
  // his." <-> "it is hers." Words that cannot go on are a closed list of English function words and
  // adverbs: "gave her the book" becomes "gave him the book".
  std::string swapped(std::string_view text) const;

  // Which sides have words in the text.
  struct Sides {
    bool first = false, second = false;
  };
  Sides sides(std::string_view text) const;

 private:
  struct Word {
    std::vector<std::string> counterparts;  // one or two
    bool is_first = false;                  // of its pair
  };
  std::map<std::string, Word, std::less<>> words_;  // by lower case
};

}  // namespace lathe
