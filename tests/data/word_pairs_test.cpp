#include <gtest/gtest.h>
#include <lathe/data/word_pairs.h>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;

TEST(WordPairs, ExchangesGenderedWordsInTheirCase) {
  const WordPairs pairs = WordPairs::gendered();
  EXPECT_EQ(pairs.swapped("He met the Queen, MOTHER of 3 boys; she's a heroine!"),
            "She met the King, FATHER of 3 girls; he's a hero!");
  EXPECT_EQ(pairs.swapped("the sheep, Hector and the manhole"),
            "the sheep, Hector and the manhole");
  EXPECT_EQ(pairs.swapped("Ärzte: she, ihe, he"), "Ärzte: he, ihe, she");
  EXPECT_EQ(pairs.swapped(""), "");
}

// "her" is him or his, "his" is her or hers: by what follows.
TEST(WordPairs, APronounWithTwoCounterpartsGoesByWhatFollows) {
  const WordPairs pairs = WordPairs::gendered();
  EXPECT_EQ(pairs.swapped("Her book was given to her."), "His book was given to him.");
  EXPECT_EQ(pairs.swapped("gave her the book and told her that"),
            "gave him the book and told him that");
  EXPECT_EQ(pairs.swapped("her own red car, her, her"), "his own red car, him, him");
  EXPECT_EQ(pairs.swapped("His dog is his. It was his but his dog ran"),
            "Her dog is hers. It was hers but her dog ran");
  EXPECT_EQ(pairs.swapped("he saw him; hers is red"), "she saw her; his is red");
  EXPECT_EQ(pairs.swapped("saw her\nDogs bark"), "saw him\nDogs bark");
}

TEST(WordPairs, TwiceIsTheSameForTextsWithoutAmbiguity) {
  const WordPairs pairs = WordPairs::gendered();
  for (const std::string text :
       {"The actress told her brother that he lost his hat to a nun.", "MR Smith, HIMSELF a monk",
        "Give him the keys of her car, boys."}) {
    EXPECT_NE(pairs.swapped(text), text);
    EXPECT_EQ(pairs.swapped(pairs.swapped(text)), text);
  }
}

TEST(WordPairs, SidesAreThoseWhoseWordsAreThere) {
  const WordPairs pairs = WordPairs::parse("up down  # directions\n\nLeft right\n", "p.txt");
  EXPECT_EQ(pairs.swapped("Up and right"), "Down and left");
  const auto sides = [&](const char* text) {
    const WordPairs::Sides found = pairs.sides(text);
    return std::pair(found.first, found.second);
  };
  EXPECT_EQ(sides("go up, LEFT"), std::pair(true, false));
  EXPECT_EQ(sides("down"), std::pair(false, true));
  EXPECT_EQ(sides("up or down"), std::pair(true, true));
  EXPECT_EQ(sides("upper"), std::pair(false, false));
}

TEST(WordPairs, FaultsOfAFileAreNamed) {
  const auto fault = [](const char* content) {
    return error_of([&] { WordPairs::parse(content, "p.txt"); });
  };
  EXPECT_EQ(fault("# none\n"), "p.txt: no pairs: expected two words a line");
  EXPECT_EQ(fault("a b\none\n"), "p.txt:2: expected two words, found 1: one pair a line");
  EXPECT_EQ(fault("a-b c\n"), "p.txt:1: 'a-b' is not one word of letters and digits");
  EXPECT_EQ(fault("a A\n"), "p.txt:1: 'a' cannot be its own counterpart");
  EXPECT_EQ(fault("a b\nb c\n"), "p.txt:2: 'b' stands on the other side in a line before");
  EXPECT_EQ(fault("a b\na c\na d\n"),
            "p.txt:3: 'a' has two counterparts already, b and c: a third cannot be told from them");
}

}  // namespace
}  // namespace lathe
