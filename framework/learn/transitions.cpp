#include <lathe/learn/transitions.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace lathe {
namespace {
std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

template <class T>
std::vector<T> block(const std::vector<T>& all, std::size_t number, std::size_t width) {
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(number * width);
  return {begin, begin + static_cast<std::ptrdiff_t>(width)};
}

// Values of four bytes, one after the other.
class Writer {
 public:
  explicit Writer(std::span<std::byte> to) : to_(to) {}
  template <class T>
  void put(T value) {
    static_assert(sizeof(T) == 4);
    std::memcpy(to_.data() + at_, &value, 4);
    at_ += 4;
  }
  void put_all(const std::vector<float>& values) {
    for (const float value : values) put(value);
  }

 private:
  std::span<std::byte> to_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) : from_(from) {}
  template <class T>
  T get() {
    static_assert(sizeof(T) == 4);
    T value;
    std::memcpy(&value, from_.data() + at_, 4);
    at_ += 4;
    return value;
  }
  void append(std::vector<float>& values, std::size_t count) {
    const std::size_t before = values.size();
    values.resize(before + count);
    if (count > 0) std::memcpy(values.data() + before, from_.data() + at_, 4 * count);
    at_ += 4 * count;
  }

 private:
  std::span<const std::byte> from_;
  std::size_t at_ = 0;
};

// A call of memcpy takes longer than most rows.
void copy_words(void* to, const std::byte* from, std::size_t count) {
  auto* at = static_cast<std::byte*>(to);
  for (; count >= 4; count -= 4, at += 16, from += 16) std::memcpy(at, from, 16);
  for (; count > 0; --count, at += 4, from += 4) std::memcpy(at, from, 4);
}

constexpr std::int32_t has_terminated = 1;
constexpr std::int32_t was_truncated = 2;
}  // namespace

TransitionLayout::TransitionLayout(const Space& observations, const Space& actions)
    : width_(observations.kind == Space::Kind::box ? index(observations.size) : 0),
      move_width_(actions.kind == Space::Kind::box ? index(actions.size) : 0),
      words_(2 * std::max<std::size_t>(width_, 1) + std::max<std::size_t>(move_width_, 1) + 5) {}

void TransitionLayout::write(const StepTransition& t, std::span<std::byte> record) const {
  Writer to(record);
  if (width_ > 0) {
    to.put_all(t.from);
    to.put_all(t.to);
  } else {
    to.put(t.state);
    to.put(t.successor);
  }
  if (move_width_ > 0) {
    to.put_all(t.moves);
  } else {
    to.put(t.action);
  }
  to.put(t.next_action);
  to.put(static_cast<float>(t.reward));
  to.put(static_cast<float>(t.discount));
  to.put((t.terminated ? has_terminated : 0) | (t.truncated ? was_truncated : 0));
  to.put(t.behaviour);
}

StepTransition TransitionLayout::read(std::span<const std::byte> record) const {
  Reader from(record);
  StepTransition t;
  if (width_ > 0) {
    from.append(t.from, width_);
    from.append(t.to, width_);
  } else {
    t.state = from.get<std::int32_t>();
    t.successor = from.get<std::int32_t>();
  }
  if (move_width_ > 0) {
    from.append(t.moves, move_width_);
  } else {
    t.action = from.get<std::int32_t>();
  }
  t.next_action = from.get<std::int32_t>();
  t.reward = static_cast<double>(from.get<float>());
  t.discount = static_cast<double>(from.get<float>());
  const auto flags = from.get<std::int32_t>();
  t.terminated = (flags & has_terminated) != 0;
  t.truncated = (flags & was_truncated) != 0;
  t.behaviour = from.get<float>();
  return t;
}

Batch TransitionLayout::batch(std::span<const std::span<const std::byte>> records) const {
  Batch batch;
  const std::size_t count = records.size();
  batch.rows = static_cast<std::int64_t>(count);
  batch.length = 1;
  batch.weights.assign(count, 1.0F);
  Experience& lived = batch.experience;
  lived.width = static_cast<std::int64_t>(width_);
  // Field by field: records drawn at random are slow to come, and short loops let many come at
  // once.
  std::size_t at = 0;
  const auto take = [&](auto& values, std::size_t width) {
    static_assert(sizeof(values[0]) == 4);
    values.resize(count * width);
    auto* to = values.data();
    for (const std::span<const std::byte>& record : records) {
      copy_words(to, record.data() + at, width);
      to += width;
    }
    at += 4 * width;
  };
  if (width_ > 0) {
    take(lived.observations, width_);
    take(lived.open_observations, width_);
  } else {
    take(batch.tokens, 1);
    take(lived.open_states, 1);
  }
  if (move_width_ > 0) {
    take(lived.moves, move_width_);
  } else {
    take(batch.targets, 1);
  }
  take(lived.open_actions, 1);
  take(lived.rewards, 1);
  take(lived.discounts, 1);
  std::vector<std::int32_t> flags;
  take(flags, 1);
  take(lived.behaviour, 1);
  lived.terminated.resize(count);
  lived.truncated.resize(count);
  for (std::size_t n = 0; n < count; ++n) {
    lived.terminated[n] = (flags[n] & has_terminated) != 0 ? 1 : 0;
    lived.truncated[n] = (flags[n] & was_truncated) != 0 ? 1 : 0;
  }
  lived.open_places.resize(count);
  std::iota(lived.open_places.begin(), lived.open_places.end(), 0);
  return batch;
}

StepCutter::StepCutter(std::int64_t rows, std::int64_t steps, double discount)
    : steps_(steps), discount_(discount), pending_(index(rows)) {}

namespace {
// What stands at the places of a collection.
class Places {
 public:
  explicit Places(const Batch& batch)
      : batch_(batch),
        lived_(batch.experience),
        width_(index(lived_.width)),
        move_width_(lived_.moves.size() / index(batch.rows * batch.length)),
        open_of_(index(batch.rows * batch.length), -1) {
    for (std::size_t f = 0; f < lived_.open_places.size(); ++f) {
      open_of_[index(lived_.open_places[f])] = static_cast<std::int64_t>(f);
    }
  }

  StepTransition begun(std::size_t place) const {
    StepTransition t;
    if (width_ > 0) t.from = block(lived_.observations, place, width_);
    if (width_ == 0) t.state = batch_.tokens[place];
    if (move_width_ > 0) t.moves = block(lived_.moves, place, move_width_);
    if (move_width_ == 0) t.action = batch_.targets[place];
    t.behaviour = lived_.behaviour.empty() ? 0 : lived_.behaviour[place];
    return t;
  }
  // What followed the place; nothing where the episode came to its own end.
  void finish(std::size_t place, StepTransition& t) const {
    t.terminated = lived_.terminated[place] != 0;
    t.truncated = lived_.truncated[place] != 0;
    t.to.assign(width_, 0.0F);
    if (t.terminated) {
      t.discount = 0;
    } else if (const std::int64_t open = open_of_[place]; open >= 0) {
      const std::size_t f = index(open);
      if (width_ > 0) t.to = block(lived_.open_observations, f, width_);
      if (width_ == 0) t.successor = lived_.open_states[f];
      if (!lived_.open_actions.empty()) t.next_action = lived_.open_actions[f];
    } else {
      if (width_ > 0) t.to = block(lived_.observations, place + 1, width_);
      if (width_ == 0) t.successor = batch_.tokens[place + 1];
      if (move_width_ == 0) t.next_action = batch_.targets[place + 1];
    }
  }

 private:
  const Batch& batch_;
  const Experience& lived_;
  std::size_t width_;
  std::size_t move_width_;
  std::vector<std::int64_t> open_of_;  // [N] number of the open place, or -1
};
}  // namespace

const std::vector<StepTransition>& StepCutter::cut(const Batch& collection) {
  const Places places(collection);
  whole_.clear();
  for (std::size_t t = 0; t < index(collection.length); ++t) {
    for (std::size_t row = 0; row < pending_.size(); ++row) {
      const std::size_t place = row * index(collection.length) + t;
      std::deque<StepTransition>& begun = pending_[row];
      begun.push_back(places.begun(place));
      for (StepTransition& open : begun) {
        open.reward += open.discount * static_cast<double>(collection.experience.rewards[place]);
        open.discount *= discount_;
        ++open.steps;
      }
      const bool ended = collection.experience.terminated[place] != 0 ||
                         collection.experience.truncated[place] != 0;
      while (!begun.empty() && (ended || begun.front().steps == steps_)) {
        places.finish(place, begun.front());
        whole_.push_back(std::move(begun.front()));
        begun.pop_front();
      }
    }
  }
  return whole_;
}

void StepCutter::save(State& state, const TransitionLayout& layout) const {
  std::vector<std::int64_t> counts, steps;
  std::vector<double> rewards, discounts;
  std::vector<std::uint8_t> records;
  std::vector<std::byte> record(layout.bytes());
  for (const auto& begun : pending_) {
    counts.push_back(static_cast<std::int64_t>(begun.size()));
    for (StepTransition t : begun) {
      t.to.resize(t.from.size());
      layout.write(t, record);
      for (const std::byte byte : record) records.push_back(static_cast<std::uint8_t>(byte));
      steps.push_back(t.steps);
      rewards.push_back(t.reward);
      discounts.push_back(t.discount);
    }
  }
  state.put("counts", counts);
  state.put("steps", steps);
  state.put("rewards", rewards);
  state.put("discounts", discounts);
  state.put("records", records);
}

void StepCutter::load(const State& state, const TransitionLayout& layout) {
  const auto counts = state.get<std::int64_t>("counts");
  const auto steps = state.get<std::int64_t>("steps");
  const auto rewards = state.get<double>("rewards");
  const auto discounts = state.get<double>("discounts");
  const auto records = state.get<std::uint8_t>("records");
  std::size_t next = 0;
  for (std::size_t row = 0; row < pending_.size(); ++row) {
    pending_[row].clear();
    for (std::int64_t i = 0; i < counts.at(row); ++i, ++next) {
      const auto bytes = std::as_bytes(std::span(records));
      StepTransition t = layout.read(bytes.subspan(next * layout.bytes(), layout.bytes()));
      t.steps = steps.at(next);
      t.reward = rewards.at(next);
      t.discount = discounts.at(next);
      pending_[row].push_back(std::move(t));
    }
  }
}

}  // namespace lathe
