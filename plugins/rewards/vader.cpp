// reward "vader": sentiment of the completion by a lexicon and rules (VADER; Hutto and Gilbert,
// 2014).
//
//   [[reward]]
//   use = "vader"
//   lexicon = "vader_lexicon.txt"          # word TAB valence, a line each
//   emoji = "emoji_utf8_lexicon.txt"       # character TAB description; optional
//   output = "compound"
//
// Each word has the valence of the lexicon, -4 to 4. It is changed by what stands up to three words
// before it (degree adverbs, negations), by capitals amid small letters, by "but" and by some
// idioms; with s the sum, more negative or positive by ! and ?, compound = s / sqrt(s^2 + 15), from
// -1 to 1. "pos", "neg" and "neu" are shares of the text, 0 to 1. The rules, numbers and word lists
// are those of vaderSentiment 3.3.2 (MIT licence, C.J. Hutto), without its rounding.
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/data/text_files.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

namespace lathe {

namespace {

constexpr double boost = 0.293;
constexpr double capitals = 0.733;
constexpr double negation = -0.74;

using Words = std::vector<std::string>;

const std::set<std::string_view> negations = {
    "aint",   "arent",    "cannot",  "cant",     "couldnt",  "darent",   "didnt",   "doesnt",
    "ain't",  "aren't",   "can't",   "couldn't", "daren't",  "didn't",   "doesn't", "dont",
    "hadnt",  "hasnt",    "havent",  "isnt",     "mightnt",  "mustnt",   "neither", "don't",
    "hadn't", "hasn't",   "haven't", "isn't",    "mightn't", "mustn't",  "neednt",  "needn't",
    "never",  "none",     "nope",    "nor",      "not",      "nothing",  "nowhere", "oughtnt",
    "shant",  "shouldnt", "uhuh",    "wasnt",    "werent",   "oughtn't", "shan't",  "shouldn't",
    "uh-uh",  "wasn't",   "weren't", "without",  "wont",     "wouldnt",  "won't",   "wouldn't",
    "rarely", "seldom",   "despite"};

const std::set<std::string_view> boosters = {
    "absolutely",    "amazingly",    "awfully",       "completely", "considerable", "considerably",
    "decidedly",     "deeply",       "effing",        "enormous",   "enormously",   "entirely",
    "especially",    "exceptional",  "exceptionally", "extreme",    "extremely",    "fabulously",
    "flipping",      "flippin",      "frackin",       "fracking",   "fricking",     "frickin",
    "frigging",      "friggin",      "fully",         "fuckin",     "fucking",      "fuggin",
    "fugging",       "greatly",      "hella",         "highly",     "hugely",       "incredible",
    "incredibly",    "intensely",    "major",         "majorly",    "more",         "most",
    "particularly",  "purely",       "quite",         "really",     "remarkably",   "so",
    "substantially", "thoroughly",   "total",         "totally",    "tremendous",   "tremendously",
    "uber",          "unbelievably", "unusually",     "utter",      "utterly",      "very"};

const std::set<std::string_view> dampeners = {
    "almost",     "barely",       "hardly",  "just enough", "kind of",  "kinda",
    "kindof",     "kind-of",      "less",    "little",      "marginal", "marginally",
    "occasional", "occasionally", "partly",  "scarce",      "scarcely", "slight",
    "slightly",   "somewhat",     "sort of", "sorta",       "sortof",   "sort-of"};

const std::map<std::string_view, double> idioms = {
    {"the shit", 3},         {"the bomb", 3},   {"bad ass", 1.5},
    {"badass", 1.5},         {"bus stop", 0},   {"yeah right", -2},
    {"kiss of death", -1.5}, {"to die for", 3}, {"beating heart", 3.5}};

// How much a degree adverb adds; 0 of other words.
double degree_of(std::string_view lower) {
  return boosters.contains(lower) ? boost : dampeners.contains(lower) ? -boost : 0;
}
bool negates(const std::string& lower) {
  return negations.contains(lower) || lower.find("n't") != lower.npos;
}

// Without punctuation at both ends, unless so little is left that it was an emoticon.
std::string_view stripped(std::string_view word) {
  constexpr std::string_view punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  const std::size_t begin = word.find_first_not_of(punctuation);
  if (begin == word.npos) return word;
  const std::string_view rest = word.substr(begin, word.find_last_not_of(punctuation) + 1 - begin);
  return characters_of(rest).size() <= 2 ? word : rest;
}

struct Sentence {
  Words words;  // as written
  Words lower;
  bool mixed = false;  // some words, but not all, are in capitals

  explicit Sentence(std::string_view text) {
    std::size_t upper = 0;
    for (const std::string_view word : words_of(text)) {
      words.emplace_back(stripped(word));
      lower.push_back(lower_case(words.back()));
      if (is_upper_case(words.back())) ++upper;
    }
    mixed = upper > 0 && upper < words.size();
  }
  // `count` words from `first`, with spaces between them; "" where they are not all there.
  std::string run(std::size_t first, std::size_t count) const {
    if (first + count > lower.size()) return "";
    std::string text = lower[first];
    for (std::size_t i = 1; i < count; ++i) text += " " + lower[first + i];
    return text;
  }
};

struct Sentiment {
  double compound = 0, positive = 0, negative = 0, neutral = 0;
};

}  // namespace

class Vader final : public Reward {
 public:
  struct Options : Keys {
    std::string lexicon = required<std::string>("lexicon", "file of words and their valences");
    std::string emoji = key("emoji", "", "file of emoji and their descriptions; empty: none");
    std::string output =
        key("output", "compound", "the score", one_of({"compound", "pos", "neg", "neu"}));
  };
  explicit Vader(const Config& config) : with_(config) {}

  void open(const RewardContext& context) override {
    const auto lexicon = input_path(with_.config(), "lexicon", context.folder);
    for_each_row(lexicon, [&](std::string_view word, std::string_view rest, std::size_t line) {
      const std::string_view number = rest.substr(0, rest.find('\t'));
      double valence = 0;
      const char* end = number.data() + number.size();
      const auto read = std::from_chars(number.data(), end, valence);
      if (read.ec != std::errc() || read.ptr != end) {
        fail(lexicon.string(), ":", line, ": '", number,
             "' is no valence: expected a word, a tab "
             "and a number");
      }
      valences_[std::string(word)] = valence;
    });
    if (with_.emoji.empty()) return;
    for_each_row(input_path(with_.config(), "emoji", context.folder),
                 [&](std::string_view emoji, std::string_view rest, std::size_t) {
                   emoji_[std::string(emoji)] = rest.substr(0, rest.find('\t'));
                 });
  }

  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const Sentiment sentiment = sentiment_of(completions.texts[m]);
      scores.values[m] = with_.output == "compound" ? sentiment.compound
                         : with_.output == "pos"    ? sentiment.positive
                         : with_.output == "neg"    ? sentiment.negative
                                                    : sentiment.neutral;
    }
  }

 private:
  template <class See>
  static void for_each_row(const std::filesystem::path& path, const See& see) {
    const std::string all = read_text_file(path).text;
    std::size_t number = 0;
    for (std::string_view rest = all; !rest.empty();) {
      ++number;
      const std::string_view whole = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), whole.size() + 1));
      const std::string_view line = trimmed(whole);
      if (line.empty()) continue;
      const std::size_t tab = line.find('\t');
      if (tab == line.npos) {
        fail(path.string(), ":", number, ": no tab: expected a word, a tab and what it stands for");
      }
      see(line.substr(0, tab), line.substr(tab + 1), number);
    }
  }

  bool known(const std::string& lower) const { return valences_.contains(lower); }

  Sentiment sentiment_of(const std::string& completion) const {
    const std::string text = described(completion);
    const Sentence sentence(text);
    std::vector<double> valences;
    for (std::size_t i = 0; i < sentence.words.size(); ++i) {
      const bool kind_of = sentence.run(i, 2) == "kind of";
      const bool adverb = degree_of(sentence.lower[i]) != 0;
      valences.push_back(adverb || kind_of ? 0 : valence_of(sentence, i));
    }
    weigh_by_but(sentence, valences);
    return summed(valences, text);
  }

  // Emoji as their descriptions, with a space between them and what is before.
  std::string described(const std::string& completion) const {
    std::string text;
    bool space = true;
    for (const std::string_view character : characters_of(completion)) {
      const auto found = emoji_.find(std::string(character));
      if (found == emoji_.end()) {
        text += character;
        space = character == " ";
        continue;
      }
      if (!space) text += ' ';
      text += found->second;
      space = false;
    }
    return text;
  }

  double valence_of(const Sentence& sentence, std::size_t i) const {
    const Words& lower = sentence.lower;
    const auto found = valences_.find(lower[i]);
    if (found == valences_.end()) return 0;
    double valence = found->second;
    // "no" negates the next word of the lexicon and has no valence of its own there.
    if (lower[i] == "no" && i + 1 < lower.size() && known(lower[i + 1])) valence = 0;
    const bool after_no =
        (i > 0 && lower[i - 1] == "no") || (i > 1 && lower[i - 2] == "no") ||
        (i > 2 && lower[i - 3] == "no" && (lower[i - 1] == "or" || lower[i - 1] == "nor"));
    if (after_no) valence = found->second * negation;
    if (sentence.mixed && is_upper_case(sentence.words[i])) {
      valence += valence > 0 ? capitals : -capitals;
    }
    for (std::size_t before = 1; before <= 3 && before <= i; ++before) {
      if (known(lower[i - before])) continue;
      constexpr double fading[] = {1, 0.95, 0.9};
      valence += fading[before - 1] * degree_at(sentence, i - before, valence);
      valence = negated(lower, i, before, valence);
      if (before == 3) valence = by_idioms(sentence, i, valence);
    }
    const bool least = i > 0 && lower[i - 1] == "least" && !known(lower[i - 1]);
    const bool weak = i > 1 && (lower[i - 2] == "at" || lower[i - 2] == "very");
    return least && !weak ? valence * negation : valence;
  }

  static double degree_at(const Sentence& sentence, std::size_t place, double valence) {
    double degree = degree_of(sentence.lower[place]);
    if (degree == 0) return 0;
    if (valence < 0) degree = -degree;
    if (sentence.mixed && is_upper_case(sentence.words[place])) {
      degree += valence > 0 ? capitals : -capitals;
    }
    return degree;
  }

  static double negated(const Words& lower, std::size_t i, std::size_t before, double valence) {
    const auto so = [&](std::size_t back) {
      return lower[i - back] == "so" || lower[i - back] == "this";
    };
    const auto is = [&](std::size_t back, std::string_view word) {
      return lower[i - back] == word;
    };
    if (before == 2) {
      if (is(2, "never") && so(1)) return valence * 1.25;
      if (is(2, "without") && is(1, "doubt")) return valence;
    }
    if (before == 3) {
      if ((is(3, "never") && so(2)) || so(1)) return valence * 1.25;
      if (is(3, "without") && (is(2, "doubt") || is(1, "doubt"))) return valence;
    }
    return negates(lower[i - before]) ? valence * negation : valence;
  }

  // Idioms that end at or before word i, or begin with it; then degree adverbs of several words.
  static double by_idioms(const Sentence& sentence, std::size_t i, double valence) {
    const std::string runs[] = {sentence.run(i - 1, 2), sentence.run(i - 2, 3),
                                sentence.run(i - 2, 2), sentence.run(i - 3, 3),
                                sentence.run(i - 3, 2)};
    for (const std::string& run : runs) {
      const auto found = idioms.find(run);
      if (found == idioms.end()) continue;
      valence = found->second;
      break;
    }
    for (const std::size_t count : {std::size_t{2}, std::size_t{3}}) {
      const auto found = idioms.find(sentence.run(i, count));
      if (found != idioms.end()) valence = found->second;
    }
    for (const auto& run : {runs[3], runs[4], runs[2]}) valence += degree_of(run);
    return valence;
  }

  // What is before "but" counts half, what is after it half more. The original looks each value up
  // by its first equal, and so do its published scores.
  static void weigh_by_but(const Sentence& sentence, std::vector<double>& valences) {
    const auto but = std::find(sentence.lower.begin(), sentence.lower.end(), "but");
    if (but == sentence.lower.end()) return;
    const auto place = but - sentence.lower.begin();
    for (std::size_t k = 0; k < valences.size(); ++k) {
      const auto first = std::find(valences.begin(), valences.end(), valences[k]);
      if (first - valences.begin() < place) *first *= 0.5;
      if (first - valences.begin() > place) *first *= 1.5;
    }
  }

  static double emphasis_of(std::string_view text) {
    const auto exclamations = std::count(text.begin(), text.end(), '!');
    const auto questions = std::count(text.begin(), text.end(), '?');
    const double by_questions = questions <= 1   ? 0
                                : questions <= 3 ? 0.18 * static_cast<double>(questions)
                                                 : 0.96;
    return 0.292 * static_cast<double>(std::min<std::ptrdiff_t>(exclamations, 4)) + by_questions;
  }

  static Sentiment summed(const std::vector<double>& valences, std::string_view text) {
    Sentiment sentiment;
    if (valences.empty()) return sentiment;
    double sum = 0, positive = 0, negative = 0, neutral = 0;
    for (const double valence : valences) {
      sum += valence;
      // Each word with a valence stands for itself too, as neutral ones do.
      if (valence > 0) positive += valence + 1;
      if (valence < 0) negative += 1 - valence;
      if (valence == 0) neutral += 1;
    }
    const double emphasis = emphasis_of(text);
    if (sum != 0) sum += sum > 0 ? emphasis : -emphasis;
    if (positive > negative) {
      positive += emphasis;
    } else if (positive < negative) {
      negative += emphasis;
    }
    const double all = positive + negative + neutral;
    sentiment.compound = sum / std::sqrt(sum * sum + 15);
    sentiment.positive = positive / all;
    sentiment.negative = negative / all;
    sentiment.neutral = neutral / all;
    return sentiment;
  }

  Options with_;
  std::unordered_map<std::string, double> valences_;
  std::unordered_map<std::string, std::string> emoji_;
};

LATHE_PLUGIN(Reward, Vader, "vader", "1.0.0")
}  // namespace lathe
