// Environment "blackjack": hit or stick against a dealer who draws to 17, from an endless deck
// (Sutton & Barto, Reinforcement Learning, 2018, Example 5.1; Gymnasium's Blackjack-v1).
//
//   [environment]
//   use = "blackjack"
//   sab = true                 # the book's rule: a natural wins unless the dealer has one too
//   stick_from = 20            # a policy that is given, and a hand to begin with: what is it
//   worth? deal = [13, 2, 1]
//
// Actions: 0 stick, 1 hit. State: (11 sum + dealer's card) 2 + usable ace, 704 in all, as
// Gymnasium's tuple is flattened. Where a natural (ace and ten at once) pays otherwise than 21, it
// is a state of its own, 704 + dealer's card, so that the table stays Markov. A win earns 1, a
// defeat -1. The dealer's cards are drawn when they are needed, which changes no probability. The
// best play earns -.04311 with sab and -.04656 without.
#include <lathe/learn/tabular.h>
#include <lathe/plugin/plugin.h>

#include <array>
#include <map>

namespace lathe {

class Blackjack final : public TabularEnvironment {
 public:
  struct Options : Keys {
    bool sab = key("sab", false, "the book's rules: a natural beats all but a natural");
    bool natural = key("natural", false, "a natural that wins earns 1.5 (without sab)");
    std::int64_t stick_from =
        key("stick_from", 0,
            "the player's policy, whatever action is chosen: stick on this sum and above it, hit "
            "below; 0: as it is chosen",
            between(0, 22));
    std::vector<std::int64_t> deal =
        key("deal", std::vector<std::int64_t>(),
            "begin with this hand: sum, dealer's card, and 1 with a usable ace or else 0; empty: "
            "cards are dealt");
    std::int64_t limit = key("limit", 0, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit Blackjack(const Config& config) : with_(config) {
    apart_ = with_.sab || with_.natural;
    if (!with_.deal.empty()) demand_hand(config);
    shape("blackjack", apart_ ? pairs + 11 : pairs, 2, with_.limit);
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    const bool natural = state >= pairs;
    const std::int32_t dealer = natural ? state - pairs : state / 2 % 11;
    const Hand player = natural ? Hand{11, true} : hand_of(state);
    const bool exists = dealer > 0 && player.hard > 0 && (!player.ace || player.hard <= 11);
    if (!exists || player.sum() > 21) return {{1, state, 0, true}};
    const bool hits = with_.stick_from > 0 ? player.sum() < with_.stick_from : action == 1;
    return hits ? hit(player, dealer) : stick(state, player, dealer, natural);
  }

  std::vector<Transition> beginnings() const override {
    if (!with_.deal.empty()) {
      const std::int64_t state = (with_.deal[0] * 11 + with_.deal[1]) * 2 + with_.deal[2];
      return {{1, static_cast<std::int32_t>(state)}};
    }
    std::map<std::int32_t, double> chances;
    for (std::int32_t dealer = 1; dealer <= 10; ++dealer) {
      for (std::int32_t first = 1; first <= 10; ++first) {
        for (std::int32_t second = 1; second <= 10; ++second) {
          const Hand hand = Hand{}.with(first).with(second);
          const bool natural = apart_ && hand.sum() == 21;
          const std::int32_t state = natural ? pairs + dealer : state_for(hand, dealer);
          chances[state] += chance(dealer) * chance(first) * chance(second);
        }
      }
    }
    std::vector<Transition> starts;
    for (const auto& [state, probability] : chances) starts.push_back({probability, state});
    return starts;
  }

  std::string render(std::int64_t row) const override {
    const std::int32_t state = state_of(row);
    if (state >= pairs) return cat("a natural, the dealer shows ", state - pairs, '\n');
    return cat("you have ", state / 22, state % 2 == 1 ? " with a usable ace" : "",
               ", the dealer shows ", state / 2 % 11, '\n');
  }

  std::string action_name(std::int32_t action) const override {
    return std::array{"stick", "hit"}.at(static_cast<std::size_t>(action));
  }

 private:
  static constexpr std::int32_t pairs = 704;  // of sum, dealer's card and ace

  // An ace counts 11 where that does not bust.
  struct Hand {
    std::int32_t hard = 0;  // sum with aces as 1
    bool ace = false;

    bool usable() const { return ace && hard + 10 <= 21; }
    std::int32_t sum() const { return usable() ? hard + 10 : hard; }
    Hand with(std::int32_t card) const { return {hard + card, ace || card == 1}; }
  };
  // Of the places at the end of a game: against the dealer.
  struct Ends {
    double lower = 0, equal = 0,
           higher = 0;  // the dealer's final sum (bust: 0) beside the player's
  };

  // Sums that a player can hold: from 4, or from 12 with an ace that counts 11.
  void demand_hand(const Config& config) const {
    const std::vector<std::int64_t>& deal = with_.deal;
    const bool whole = deal.size() == 3 && (deal[2] == 0 || deal[2] == 1);
    if (whole && deal[1] >= 1 && deal[1] <= 10 && deal[0] <= 21 &&
        deal[0] >= (deal[2] == 1 ? 12 : 4)) {
      return;
    }
    fail(config.at("deal").where(), ": environment blackjack: deal = ", config.at("deal").to_text(),
         " is no hand; expected a sum of 4 ... 21 (12 ... 21 with a ",
         "usable ace), a dealer's card of 1 ... 10, and 1 with a usable ace or 0, such as ",
         "[13, 2, 1]");
  }

  static double chance(std::int32_t card) { return card == 10 ? 4.0 / 13 : 1.0 / 13; }
  static std::int32_t state_for(const Hand& hand, std::int32_t dealer) {
    return (hand.sum() * 11 + dealer) * 2 + (hand.usable() ? 1 : 0);
  }
  // An ace that is not usable makes no difference any more.
  static Hand hand_of(std::int32_t state) {
    const bool ace = state % 2 == 1;
    return {state / 22 - (ace ? 10 : 0), ace};
  }

  static std::vector<Transition> hit(const Hand& player, std::int32_t dealer) {
    std::vector<Transition> ways;
    for (std::int32_t card = 1; card <= 10; ++card) {
      const Hand hand = player.with(card);
      const bool bust = hand.sum() > 21;
      ways.push_back({chance(card), state_for(hand, dealer), bust ? -1.0 : 0.0, bust});
    }
    return ways;
  }

  static void play_dealer(const Hand& dealer, std::int32_t goal, double probability, Ends& ends) {
    if (dealer.sum() >= 17) {
      const std::int32_t score = dealer.sum() > 21 ? 0 : dealer.sum();
      (score < goal ? ends.lower : score == goal ? ends.equal : ends.higher) += probability;
      return;
    }
    for (std::int32_t card = 1; card <= 10; ++card) {
      play_dealer(dealer.with(card), goal, probability * chance(card), ends);
    }
  }

  std::vector<Transition> stick(std::int32_t state, const Hand& player, std::int32_t dealer,
                                bool natural) const {
    Ends ends;
    play_dealer(Hand{}.with(dealer), player.sum(), 1, ends);
    if (natural && with_.sab) {
      const double both = dealer == 1 ? chance(10) : dealer == 10 ? chance(1) : 0;
      ends = {1 - both, both, 0};
    }
    const double prize = natural && !with_.sab ? 1.5 : 1;
    return {{ends.lower, state, prize, true},
            {ends.equal, state, 0, true},
            {ends.higher, state, -1, true}};
  }

  Options with_;
  bool apart_ = false;  // naturals are states of their own
};

LATHE_PLUGIN(Environment, Blackjack, "blackjack", "1.0.0")
}  // namespace lathe
