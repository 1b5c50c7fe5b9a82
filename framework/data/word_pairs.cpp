#include <lathe/base/error.h>
#include <lathe/data/word_pairs.h>
#include <lathe/text/category.h>
#include <lathe/text/utf8.h>
#include <lathe/text/words.h>

#include <algorithm>
#include <set>

namespace lathe {
namespace {

// The order of the first three lines matters, see swapped().
constexpr std::string_view gendered_words = R"(
his her
him her
his hers
he she
himself herself
man woman
men women
boy girl
boys girls
male female
males females
gentleman lady
gentlemen ladies
guy gal
guys gals
sir madam
mr mrs
father mother
fathers mothers
dad mom
dads moms
daddy mommy
papa mama
son daughter
sons daughters
brother sister
brothers sisters
husband wife
husbands wives
uncle aunt
uncles aunts
nephew niece
nephews nieces
grandfather grandmother
grandfathers grandmothers
grandpa grandma
grandson granddaughter
grandsons granddaughters
stepfather stepmother
stepson stepdaughter
stepbrother stepsister
godfather godmother
godson goddaughter
boyfriend girlfriend
boyfriends girlfriends
groom bride
widower widow
king queen
kings queens
prince princess
princes princesses
duke duchess
emperor empress
baron baroness
god goddess
gods goddesses
hero heroine
heroes heroines
wizard witch
wizards witches
monk nun
monks nuns
priest priestess
actor actress
actors actresses
waiter waitress
waiters waitresses
steward stewardess
heir heiress
landlord landlady
policeman policewoman
policemen policewomen
salesman saleswoman
salesmen saleswomen
businessman businesswoman
businessmen businesswomen
spokesman spokeswoman
chairman chairwoman
congressman congresswoman
schoolboy schoolgirl
boyhood girlhood
manhood womanhood
fatherhood motherhood
masculine feminine
)";

// Words that no possessive goes on with: what stands before them is an object or alone, as in "gave
// her the book", "saw him and left", "told her that".
const std::set<std::string, std::less<>>& closed_list() {
  static const std::set<std::string, std::less<>> words = {
      "a",       "about",   "above",      "across",    "after",    "again",    "against", "ago",
      "all",     "along",   "already",    "also",      "although", "always",   "am",      "among",
      "an",      "and",     "any",        "anything",  "anyway",   "are",      "around",  "as",
      "at",      "away",    "back",       "be",        "because",  "been",     "before",  "behind",
      "below",   "beside",  "between",    "both",      "but",      "by",       "can",     "could",
      "did",     "do",      "does",       "down",      "during",   "each",     "earlier", "either",
      "ever",    "every",   "everything", "for",       "forever",  "forward",  "from",    "had",
      "has",     "have",    "he",         "her",       "here",     "him",      "his",     "home",
      "how",     "i",       "if",         "in",        "inside",   "instead",  "into",    "is",
      "it",      "just",    "later",      "like",      "may",      "me",       "might",   "must",
      "my",      "near",    "never",      "no",        "nor",      "not",      "nothing", "now",
      "of",      "off",     "often",      "on",        "once",     "only",     "onto",    "or",
      "our",     "out",     "outside",    "over",      "per",      "shall",    "she",     "should",
      "since",   "so",      "some",       "something", "soon",     "than",     "that",    "the",
      "their",   "them",    "then",       "there",     "these",    "they",     "this",    "those",
      "though",  "through", "to",         "today",     "together", "tomorrow", "too",     "toward",
      "towards", "twice",   "under",      "unless",    "until",    "up",       "upon",    "us",
      "was",     "we",      "well",       "were",      "what",     "when",     "where",   "whether",
      "which",   "while",   "who",        "whom",      "whose",    "why",      "will",    "with",
      "within",  "without", "would",      "yesterday", "yet",      "you",      "your"};
  return words;
}

bool is_of_word(const Utf8Character& character) {
  if (character.state != Utf8State::whole) return false;
  const Category category = Categories::get().of(character.code);
  return category == Category::letter || category == Category::number;
}

struct Piece {
  std::string_view text;
  bool is_word = false;
};

// The text in words and what stands between them, in order.
std::vector<Piece> pieces_of(std::string_view text) {
  std::vector<Piece> pieces;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character next = read_utf8(text, at);
    const bool is_word = is_of_word(next);
    if (pieces.empty() || pieces.back().is_word != is_word) {
      begin = at;
      pieces.push_back({{}, is_word});
    }
    at += next.length;
    pieces.back().text = text.substr(begin, at - begin);
  }
  return pieces;
}

// `word`, in lower case, in the letter case of `like`.
std::string in_case_of(std::string_view like, const std::string& word) {
  const std::vector<std::string_view> letters = characters_of(like);
  if (!is_upper_case(letters.front())) return word;
  const bool all = letters.size() > 1 && is_upper_case(like);
  std::string cased = word;
  const std::size_t count = all ? cased.size() : 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (cased[i] >= 'a' && cased[i] <= 'z') cased[i] = static_cast<char>(cased[i] - 'a' + 'A');
  }
  return cased;
}

// Whether what follows piece i is a word that can go on with it: nothing but spaces between.
bool goes_on(const std::vector<Piece>& pieces, std::size_t i) {
  if (i + 2 >= pieces.size()) return false;
  if (pieces[i + 1].text.find_first_not_of(' ') != std::string_view::npos) return false;
  return !closed_list().contains(lower_case(pieces[i + 2].text));
}

}  // namespace

WordPairs WordPairs::gendered() { return parse(gendered_words, "gendered words"); }

WordPairs WordPairs::parse(std::string_view content, std::string_view name) {
  WordPairs pairs;
  std::uint64_t line = 0;
  while (!content.empty()) {
    ++line;
    std::string_view text = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(content.size(), text.size() + 1));
    text = text.substr(0, text.find('#'));
    const std::vector<std::string_view> words = words_of(text);
    if (words.empty()) continue;
    const std::string where = cat(name, ":", line, ": ");
    if (words.size() != 2) {
      fail(where, "expected two words, found ", words.size(), ": one pair a line");
    }
    const std::string first = lower_case(words[0]);
    const std::string second = lower_case(words[1]);
    for (const auto& [word, other] : {std::pair(first, second), std::pair(second, first)}) {
      const std::vector<Piece> pieces = pieces_of(word);
      if (pieces.size() != 1 || !pieces[0].is_word) {
        fail(where, "'", word, "' is not one word of letters and digits");
      }
      if (first == second) fail(where, "'", word, "' cannot be its own counterpart");
      Word& entry = pairs.words_[word];
      const bool is_first = word == first;
      if (!entry.counterparts.empty() && entry.is_first != is_first) {
        fail(where, "'", word, "' stands on the other side in a line before");
      }
      if (entry.counterparts.size() == 2) {
        fail(where, "'", word, "' has two counterparts already, ", entry.counterparts[0], " and ",
             entry.counterparts[1], ": a third cannot be told from them");
      }
      entry.counterparts.push_back(other);
      entry.is_first = is_first;
    }
  }
  if (pairs.words_.empty()) fail(name, ": no pairs: expected two words a line");
  return pairs;
}

std::string WordPairs::swapped(std::string_view text) const {
  const std::vector<Piece> pieces = pieces_of(text);
  std::string result;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto found = pieces[i].is_word ? words_.find(lower_case(pieces[i].text)) : words_.end();
    if (found == words_.end()) {
      result += pieces[i].text;
      continue;
    }
    const std::vector<std::string>& others = found->second.counterparts;
    const std::string& chosen = others.size() == 1 || goes_on(pieces, i) ? others[0] : others[1];
    result += in_case_of(pieces[i].text, chosen);
  }
  return result;
}

WordPairs::Sides WordPairs::sides(std::string_view text) const {
  Sides sides;
  for (const Piece& piece : pieces_of(text)) {
    const auto found = piece.is_word ? words_.find(lower_case(piece.text)) : words_.end();
    if (found == words_.end()) continue;
    (found->second.is_first ? sides.first : sides.second) = true;
  }
  return sides;
}

}  // namespace lathe
