// Environment "dialogue": a dialogue manager that finds out what a user wants, offers an entry of a
// database and answers questions about it. The user is simulated by an agenda (Schatzmann et al.
// 2007, "Agenda-based user simulation for bootstrapping a POMDP dialogue system").
//
//   [environment]
//   use = "dialogue"
//   slots = ["food", "area", "price"]      # what a user may constrain
//   requests = ["phone", "address"]        # what he may ask about the entry that is offered
//   noise = 0.1                            # how often a value is misheard
//
// The goal: values for some of the slots, taken from an entry of the database, and one or more
// requests. The user opens with a constraint, answers what he is asked and corrects what he notices
// to be wrong. What the manager hears of a value may be wrong, and whole utterances may be lost.
//
// Actions: request a slot, confirm a slot (S each), offer the first entry that fits what was heard,
// answer a request (R), close. Each turn costs 1. Closing earns `success` when the entry offered
// last fits the goal and each request was answered for it, else `failure`, as does a user who loses
// patience.
//
// Observation, numbers in 0 ... 1: filled, confirmed (S each); the user's last act (6: informs,
// asks, affirms, denies, has all, not understood); requests that were heard and not answered (R);
// entries that fit (4: none, one, two to four, more); whether one is offered; turns / patience.
#include <lathe/learn/episodes.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <array>
#include <utility>

namespace lathe {

class Dialogue final : public Environment {
 public:
  struct Options : Keys {
    std::vector<std::string> slots = key("slots", {"food", "area", "price"}, "names", not_empty);
    std::vector<std::string> requests = key("requests", {"phone", "address"}, "names", not_empty);
    int values = key("values", 5, "values of each slot", between(2, 1000));
    int entries = key("entries", 30, "of the database", at_least(1));
    std::int64_t domain = key("domain", 0, "number of the database: its seed", at_least(0));
    double constrained = key("constrained", 0.75, "how often a slot matters", between(0, 1));
    double talkative =
        key("talkative", 0.3, "how often a user gives one more constraint unasked", between(0, 1));
    double noise = key("noise", 0.1, "how often a value is misheard", between(0, 1));
    double lost = key("lost", 0.05, "how often nothing is understood", between(0, 1));
    double success = key("success", 20.0, "reward of a dialogue that ends well");
    double failure = key("failure", -10.0, "reward of one that does not");
    int patience = key("patience", 30, "turns after which the user leaves", at_least(1));
    std::int64_t limit = key("limit", 0, "steps of an episode; 0: no limit", at_least(0));
  };
  explicit Dialogue(const Config& config)
      : with_(config), slots_(with_.slots.size()), requests_(with_.requests.size()) {
    if (slots_ > 10 || requests_ > 10) {
      fail("environment dialogue: ", slots_, " slots and ", requests_,
           " requests; at most ten of each can be told apart by its random numbers");
    }
  }

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, "dialogue", with_.limit);
    const RandomStream draws(static_cast<std::uint64_t>(with_.domain), "dialogue/database");
    database_.clear();
    for (std::size_t i = 0; i < static_cast<std::size_t>(with_.entries) * slots_; ++i) {
      database_.push_back(
          static_cast<std::int32_t>(draws.below(static_cast<std::uint64_t>(with_.values), i)));
    }
    talks_.assign(static_cast<std::size_t>(context.rows), empty_talk());
  }

  Space observations() const override {
    const std::size_t width = 2 * slots_ + acts + requests_ + 6;
    return Space::box(std::vector<float>(width, 0.0f), std::vector<float>(width, 1.0f));
  }
  Space actions() const override {
    return Space::discrete(static_cast<std::int64_t>(2 * slots_ + requests_ + 2));
  }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    const auto r = static_cast<std::size_t>(row);
    Talk& talk = talks_[r] = empty_talk();
    set_goal(talk, row);
    const Belief before = talk.belief;
    user_goes_on(talk, row);
    lose(talk, before, row);
    show(r, now);
  }

  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    const auto count = static_cast<std::int32_t>(this->actions().size);
    for (std::size_t r = 0; r < talks_.size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action >= count) fail_on_action("dialogue", row, action, count);
      const bool last = episodes_.advance(row);
      Talk& talk = talks_[r];
      talk.said = action;
      const bool closed = action == count - 1;
      const bool left = !closed && episodes_.steps(row) >= with_.patience;
      double reward = -1;
      if (closed || left) {
        reward += closed && fulfilled(talk) ? with_.success : with_.failure;
      } else {
        manager_speaks(talk, static_cast<std::size_t>(action));
        const Belief before = talk.belief;
        user_replies(talk, row, static_cast<std::size_t>(action));
        lose(talk, before, row);
      }
      show(r, now);
      outcomes.rewards[r] = static_cast<float>(reward);
      outcomes.terminated[r] = closed || left;
      outcomes.truncated[r] = last && !closed && !left;
    }
  }

  std::string action_name(std::int32_t action) const override {
    const auto a = static_cast<std::size_t>(action);
    if (a < slots_) return "request " + with_.slots[a];
    if (a < 2 * slots_) return "confirm " + with_.slots[a - slots_];
    if (a == 2 * slots_) return "offer";
    if (a <= 2 * slots_ + requests_) return "answer " + with_.requests[a - 2 * slots_ - 1];
    return "close";
  }

  std::string render(std::int64_t row) const override;
  void save(State& state) const override;
  void load(const State& state) override;

 private:
  enum Act : std::int32_t { inform, ask, affirm, deny, content, unclear };
  static constexpr std::size_t acts = 6;
  static constexpr std::int32_t unknown = -2, any = -1;  // beside the values 0, 1, ...
  using Numbers = std::vector<std::int32_t>;

  // What the manager heard.
  struct Belief {
    Numbers heard;               // [S] a value, any or unknown
    Numbers sure;                // [S] 1: confirmed
    Numbers asked;               // [R] 1: asked and not answered
    std::int32_t act = unclear;  // the user's last
  };
  struct Talk {
    Numbers goal;    // [S] a value, or any
    Numbers wants;   // [R] 1: the user wants to know it
    Numbers agenda;  // slots that he has not told yet, the next one last
    Belief belief;
    Numbers answered;         // [R] 1: for the entry on offer
    std::int32_t offer = -1;  // an entry
    std::int32_t said = -1;   // the manager's last action
  };

  Talk empty_talk() const {
    const auto of = [](std::size_t count, std::int32_t each) { return Numbers(count, each); };
    Belief nothing{of(slots_, unknown), of(slots_, 0), of(requests_, 0)};
    return {of(slots_, any), of(requests_, 0), {}, std::move(nothing), of(requests_, 0)};
  }

  // The random numbers of a turn, by purpose.
  static constexpr std::uint64_t draw_lost = 0, draw_more = 1, draw_noise = 2;
  // Of the reset, beside those: an entry, and for each slot or request whether it matters.
  static constexpr std::uint64_t draw_entry = 30, draw_slot = 31, draw_request = 41,
                                 draw_order = 51;

  std::int32_t value(std::int32_t entry, std::size_t slot) const {
    return database_[static_cast<std::size_t>(entry) * slots_ + slot];
  }
  std::size_t pick(std::int64_t row, std::uint64_t number, std::size_t count) const {
    const double drawn = episodes_.uniform(row, number) * static_cast<double>(count);
    return std::min(static_cast<std::size_t>(drawn), count - 1);
  }

  // An entry's values for some slots (at least one), some requests (at least one), any order.
  void set_goal(Talk& talk, std::int64_t row) const {
    const auto entry =
        static_cast<std::int32_t>(pick(row, draw_entry, static_cast<std::size_t>(with_.entries)));
    for (std::size_t s = 0; s < slots_; ++s) {
      if (episodes_.uniform(row, draw_slot + s) >= with_.constrained) continue;
      talk.goal[s] = value(entry, s);
    }
    if (std::count(talk.goal.begin(), talk.goal.end(), any) == std::ptrdiff_t(slots_)) {
      const std::size_t s = pick(row, draw_order, slots_);
      talk.goal[s] = value(entry, s);
    }
    for (std::size_t q = 0; q < requests_; ++q) {
      talk.wants[q] = episodes_.uniform(row, draw_request + q) < 0.5 ? 1 : 0;
    }
    if (std::count(talk.wants.begin(), talk.wants.end(), 1) == 0) {
      talk.wants[pick(row, draw_order + 1, requests_)] = 1;
    }
    for (std::size_t s = 0; s < slots_; ++s) {
      if (talk.goal[s] != any) talk.agenda.push_back(static_cast<std::int32_t>(s));
    }
    for (std::size_t i = talk.agenda.size(); i > 1; --i) {
      std::swap(talk.agenda[i - 1], talk.agenda[pick(row, draw_order + i, i)]);
    }
  }

  // He says what he wants of the slot; it may be taken for another value.
  void tell(Talk& talk, std::int64_t row, std::size_t slot) const {
    std::erase(talk.agenda, static_cast<std::int32_t>(slot));
    std::int32_t told = talk.goal[slot];
    const double drawn = episodes_.uniform(row, draw_noise + slot);
    if (told != any && drawn < with_.noise) {  // drawn / noise is uniform again
      const auto others = static_cast<double>(with_.values - 1);
      const auto shift = 1 + static_cast<std::int32_t>(drawn / with_.noise * others);
      told = (told + std::min(shift, with_.values - 1)) % with_.values;
    }
    talk.belief.heard[slot] = told;
    talk.belief.sure[slot] = 0;
  }

  // The next item of the agenda: a constraint, else a request, else he has all.
  void user_goes_on(Talk& talk, std::int64_t row) const {
    if (!talk.agenda.empty()) {
      talk.belief.act = inform;
      tell(talk, row, static_cast<std::size_t>(talk.agenda.back()));
      if (!talk.agenda.empty() && episodes_.uniform(row, draw_more) < with_.talkative) {
        tell(talk, row, static_cast<std::size_t>(talk.agenda.back()));
      }
      return;
    }
    talk.belief.act = content;
    for (std::size_t q = 0; q < requests_; ++q) {
      if (talk.wants[q] == 0 || talk.answered[q] == 1) continue;
      talk.belief.asked[q] = 1;
      talk.belief.act = ask;
      return;
    }
  }

  void manager_speaks(Talk& talk, std::size_t action) const {
    if (action == 2 * slots_) {
      const std::int32_t offer = fitting(talk.belief.heard).second;
      if (offer == talk.offer) return;
      talk.offer = offer;
      std::fill(talk.answered.begin(), talk.answered.end(), 0);
    } else if (action > 2 * slots_ && talk.offer >= 0) {
      const std::size_t request = action - 2 * slots_ - 1;
      talk.answered[request] = 1;
      talk.belief.asked[request] = 0;
    }
  }

  void user_replies(Talk& talk, std::int64_t row, std::size_t action) const {
    if (action == 2 * slots_) return user_sees_offer(talk, row);
    if (action > 2 * slots_) return user_goes_on(talk, row);
    Belief& belief = talk.belief;
    const bool confirms = action >= slots_;
    const std::size_t slot = confirms ? action - slots_ : action;
    if (confirms && belief.heard[slot] == talk.goal[slot]) {
      belief.act = affirm;
      belief.sure[slot] = 1;
      return;
    }
    belief.act = confirms && belief.heard[slot] != unknown ? deny : inform;
    tell(talk, row, slot);
  }

  // A wrong offer, or that nothing fits, makes him say again what was not understood.
  void user_sees_offer(Talk& talk, std::int64_t row) const {
    for (std::size_t s = 0; s < slots_; ++s) {
      const std::int32_t wanted = talk.goal[s], heard = talk.belief.heard[s];
      const bool wrong = talk.offer < 0 ? heard >= 0 && heard != wanted
                                        : wanted != any && value(talk.offer, s) != wanted;
      if (!wrong) continue;
      talk.belief.act = deny;
      return tell(talk, row, s);
    }
    talk.agenda.clear();  // all that he wants is there
    user_goes_on(talk, row);
  }

  // Sometimes nothing of it arrives: what the manager knew stands.
  void lose(Talk& talk, const Belief& before, std::int64_t row) const {
    if (episodes_.uniform(row, draw_lost) >= with_.lost) return;
    talk.belief = before;
    talk.belief.act = unclear;
  }

  bool fits(std::int32_t entry, const Numbers& wanted) const {
    for (std::size_t s = 0; s < slots_; ++s) {
      if (wanted[s] >= 0 && value(entry, s) != wanted[s]) return false;
    }
    return true;
  }
  // How many entries fit, and the first of them (-1: none).
  std::pair<int, std::int32_t> fitting(const Numbers& wanted) const {
    std::pair<int, std::int32_t> found{0, -1};
    for (std::int32_t entry = 0; entry < with_.entries; ++entry) {
      if (fits(entry, wanted) && found.first++ == 0) found.second = entry;
    }
    return found;
  }

  bool fulfilled(const Talk& talk) const {
    if (talk.offer < 0 || !fits(talk.offer, talk.goal)) return false;
    for (std::size_t q = 0; q < requests_; ++q) {
      if (talk.wants[q] == 1 && talk.answered[q] == 0) return false;
    }
    return true;
  }

  void show(std::size_t r, Observations& now) const;
  static std::array<Numbers*, 6> lists_of(Talk& talk);

  Options with_;
  std::size_t slots_, requests_;  // S, R
  Numbers database_;              // [entries, S]
  Episodes episodes_;
  std::vector<Talk> talks_;  // [E]
};

void Dialogue::show(std::size_t r, Observations& now) const {
  const Talk& talk = talks_[r];
  const Belief& belief = talk.belief;
  const auto width = static_cast<std::size_t>(observations().size);
  float* seen = now.numbers.data() + r * width;
  std::fill_n(seen, width, 0.0f);
  for (std::size_t s = 0; s < slots_; ++s) {
    seen[s] = belief.heard[s] != unknown ? 1.0f : 0.0f;
    seen[slots_ + s] = static_cast<float>(belief.sure[s]);
  }
  seen += 2 * slots_;
  seen[static_cast<std::size_t>(belief.act)] = 1;
  seen += acts;
  for (std::size_t q = 0; q < requests_; ++q) seen[q] = static_cast<float>(belief.asked[q]);
  seen += requests_;
  const int count = fitting(belief.heard).first;
  seen[count < 2 ? count : count < 5 ? 2 : 3] = 1;
  seen[4] = talk.offer >= 0 ? 1.0f : 0.0f;
  seen[5] = static_cast<float>(episodes_.steps(static_cast<std::int64_t>(r))) /
            static_cast<float>(with_.patience);
}

std::string Dialogue::render(std::int64_t row) const {
  const Talk& talk = talks_[static_cast<std::size_t>(row)];
  const auto word = [](std::int32_t number) {
    return number == unknown ? std::string("?") : number == any ? std::string("any") : cat(number);
  };
  constexpr std::array said{"informs", "asks", "affirms", "denies", "has all", "is not understood"};
  std::string text = cat("turn ", episodes_.steps(row), ": ",
                         talk.said < 0 ? std::string("hello") : action_name(talk.said),
                         "; the user ", said[static_cast<std::size_t>(talk.belief.act)], '\n');
  for (std::size_t s = 0; s < slots_; ++s) {
    text += cat("  ", with_.slots[s], ": heard ", word(talk.belief.heard[s]),
                talk.belief.sure[s] == 1 ? " (confirmed)" : "", ", wanted ", word(talk.goal[s]));
    text += talk.offer < 0 ? "\n" : cat(", offered ", value(talk.offer, s), '\n');
  }
  for (std::size_t q = 0; q < requests_; ++q) {
    if (talk.wants[q] == 0) continue;
    text += cat("  ", with_.requests[q], ": wanted",
                talk.answered[q] == 1       ? ", answered"
                : talk.belief.asked[q] == 1 ? ", asked"
                                            : "",
                '\n');
  }
  return text;
}

// The lists of a talk whose lengths never change.
std::array<Dialogue::Numbers*, 6> Dialogue::lists_of(Talk& talk) {
  return {&talk.goal,        &talk.wants,        &talk.belief.heard,
          &talk.belief.sure, &talk.belief.asked, &talk.answered};
}

// A talk as numbers; the agenda as its length and S places.
void Dialogue::save(State& state) const {
  episodes_.save(state);
  Numbers all;
  for (Talk talk : talks_) {
    const auto length = static_cast<std::int32_t>(talk.agenda.size());
    talk.agenda.resize(slots_);
    for (const Numbers* list : lists_of(talk)) all.insert(all.end(), list->begin(), list->end());
    all.insert(all.end(), talk.agenda.begin(), talk.agenda.end());
    all.insert(all.end(), {length, talk.belief.act, talk.offer, talk.said});
  }
  state.put("talks", all);
}

void Dialogue::load(const State& state) {
  episodes_.load(state);
  Numbers all(talks_.size() * (4 * slots_ + 3 * requests_ + 4));
  restore(state, "talks", all);
  const std::int32_t* from = all.data();
  for (Talk& talk : talks_) {
    talk = empty_talk();
    for (Numbers* list : lists_of(talk)) {
      list->assign(from, from + list->size());
      from += list->size();
    }
    talk.agenda.assign(from, from + from[slots_]);
    from += slots_ + 1;
    talk.belief.act = *from++;
    talk.offer = *from++;
    talk.said = *from++;
  }
}

LATHE_PLUGIN(Environment, Dialogue, "dialogue", "1.0.0")
}  // namespace lathe
