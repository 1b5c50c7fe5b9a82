#include <lathe/learn/experience.h>

#include <algorithm>

namespace lathe {
namespace {

// Calls visit(name, array of a, array of b) for every array, by what it has one block of values
// for. One list for selecting, saving and loading, so that none can forget an array.
template <class A, class B, class Visit>
void visit_places(A& a, B& b, const Visit& visit) {
  auto& x = a.experience;
  auto& y = b.experience;
  visit("tokens", a.tokens, b.tokens);
  visit("targets", a.targets, b.targets);
  visit("weights", a.weights, b.weights);
  visit("positions", a.positions, b.positions);
  visit("segments", a.segments, b.segments);
  visit("token_weights", a.token_weights, b.token_weights);
  visit("observations", x.observations, y.observations);
  visit("moves", x.moves, y.moves);
  visit("rewards", x.rewards, y.rewards);
  visit("discounts", x.discounts, y.discounts);
  visit("terminated", x.terminated, y.terminated);
  visit("truncated", x.truncated, y.truncated);
  visit("behaviour", x.behaviour, y.behaviour);
  visit("log_probabilities", x.log_probabilities, y.log_probabilities);
  visit("reference", x.reference, y.reference);
  visit("values", x.values, y.values);
  visit("advantages", x.advantages, y.advantages);
  visit("returns", x.returns, y.returns);
}
template <class A, class B, class Visit>
void visit_rows(A& a, B& b, const Visit& visit) {
  visit("examples", a.examples, b.examples);
  visit("groups", a.experience.groups, b.experience.groups);
  visit("replay_places", a.experience.replay_places, b.experience.replay_places);
  visit("replay_weights", a.experience.replay_weights, b.experience.replay_weights);
}
template <class A, class B, class Visit>
void visit_open(A& a, B& b, const Visit& visit) {
  auto& x = a.experience;
  auto& y = b.experience;
  visit("open_observations", x.open_observations, y.open_observations);
  visit("open_states", x.open_states, y.open_states);
  visit("open_actions", x.open_actions, y.open_actions);
}

// The chosen blocks of an array that holds `units` of them.
template <class T>
std::vector<T> picked(const std::vector<T>& all, std::int64_t units,
                      std::span<const std::int64_t> chosen) {
  std::vector<T> some;
  if (all.empty()) return some;
  const auto block = static_cast<std::ptrdiff_t>(all.size()) / units;
  some.reserve(static_cast<std::size_t>(block) * chosen.size());
  for (const std::int64_t unit : chosen) {
    const auto begin = all.begin() + block * unit;
    some.insert(some.end(), begin, begin + block);
  }
  return some;
}

// The open places among the chosen units, which are `size` places each, under their new numbers.
void pick_open(const Batch& from, std::int64_t size, std::span<const std::int64_t> chosen,
               Batch& to) {
  const std::vector<std::int64_t>& places = from.experience.open_places;
  if (places.empty()) return;
  std::vector<std::int64_t> kept;  // numbers within open_places
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::int64_t begin = chosen[i] * size;
    auto at = std::lower_bound(places.begin(), places.end(), begin);
    for (; at != places.end() && *at < begin + size; ++at) {
      kept.push_back(at - places.begin());
      to.experience.open_places.push_back(static_cast<std::int64_t>(i) * size + *at - begin);
    }
  }
  const auto units = static_cast<std::int64_t>(places.size());
  visit_open(from, to,
             [&](const char*, const auto& all, auto& some) { some = picked(all, units, kept); });
}

Batch started(const Batch& batch, std::int64_t rows, std::int64_t length) {
  Batch some;
  some.rows = rows;
  some.length = length;
  some.first_row = batch.first_row;
  some.prepared = batch.prepared;
  some.experience.width = batch.experience.width;
  return some;
}

}  // namespace

Batch select_places(const Batch& batch, std::span<const std::int64_t> places) {
  Batch some = started(batch, static_cast<std::int64_t>(places.size()), 1);
  const std::int64_t count = batch.rows * batch.length;
  visit_places(batch, some, [&](const char*, const auto& all, auto& chosen) {
    chosen = picked(all, count, places);
  });
  std::vector<std::int64_t> rows;
  for (const std::int64_t place : places) rows.push_back(place / batch.length);
  visit_rows(batch, some, [&](const char*, const auto& all, auto& chosen) {
    chosen = picked(all, batch.rows, rows);
  });
  pick_open(batch, 1, places, some);
  return some;
}

Batch select_rows(const Batch& batch, std::span<const std::int64_t> rows) {
  Batch some = started(batch, static_cast<std::int64_t>(rows.size()), batch.length);
  const auto pick = [&](const char*, const auto& all, auto& chosen) {
    chosen = picked(all, batch.rows, rows);
  };
  visit_places(batch, some, pick);
  visit_rows(batch, some, pick);
  pick_open(batch, batch.length, rows, some);
  return some;
}

namespace {
// Texts as bytes, one after the other.
void save_written(const std::vector<Written>& all, State& state) {
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> lengths;
  std::vector<double> scores;
  for (const Written& row : all) {
    for (const std::string* text : {&row.prompt, &row.text}) {
      bytes.insert(bytes.end(), text->begin(), text->end());
      lengths.push_back(static_cast<std::int64_t>(text->size()));
    }
    scores.push_back(row.score);
  }
  state.put("written", bytes);
  state.put("written_lengths", lengths);
  state.put("written_scores", scores);
}
std::vector<Written> load_written(const State& state) {
  const auto bytes = state.get<std::uint8_t>("written");
  const auto lengths = state.get<std::int64_t>("written_lengths");
  std::vector<Written> all;
  auto at = bytes.begin();
  const auto next = [&](std::size_t i) {
    const auto begin = at;
    at += lengths.at(i);
    return std::string(begin, at);
  };
  for (const double score : state.get<double>("written_scores")) {
    std::string prompt = next(2 * all.size());
    std::string text = next(2 * all.size() + 1);
    all.push_back({std::move(prompt), std::move(text), score});
  }
  return all;
}
}  // namespace

void save_batch(const Batch& batch, State& state) {
  state.put("shape", std::vector<std::int64_t>{batch.rows, batch.length, batch.first_row,
                                               batch.prepared ? 1 : 0, batch.experience.width});
  state.put("open_places", batch.experience.open_places);
  save_written(batch.written, state);
  const auto put = [&](const char* name, const auto& all, const auto&) { state.put(name, all); };
  visit_places(batch, batch, put);
  visit_rows(batch, batch, put);
  visit_open(batch, batch, put);
}

Batch load_batch(const State& state) {
  Batch batch;
  const auto shape = state.get<std::int64_t>("shape");
  batch.rows = shape.at(0);
  batch.length = shape.at(1);
  batch.first_row = shape.at(2);
  batch.prepared = shape.at(3) != 0;
  batch.experience.width = shape.at(4);
  batch.experience.open_places = state.get<std::int64_t>("open_places");
  batch.written = load_written(state);
  const auto get = [&](const char* name, auto& all, const auto&) {
    all = state.get<typename std::decay_t<decltype(all)>::value_type>(name);
  };
  visit_places(batch, batch, get);
  visit_rows(batch, batch, get);
  visit_open(batch, batch, get);
  return batch;
}

}  // namespace lathe
