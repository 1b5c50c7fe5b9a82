#include <lathe/base/file.h>
#include <lathe/conform/world.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

namespace lathe::conform {

Digest& Digest::add(const Batch& batch) {
  add(batch.rows).add(batch.length).add(batch.tokens).add(batch.targets).add(batch.weights);
  add(batch.positions).add(batch.segments).add(batch.examples);
  const Experience& lived = batch.experience;
  add(lived.rewards).add(lived.discounts).add(lived.terminated).add(lived.truncated);
  add(lived.observations).add(lived.behaviour).add(lived.open_places);
  return add(lived.open_states).add(lived.open_observations).add(lived.open_actions);
}

std::string random_text(const RandomStream& random, std::int64_t count) {
  struct Range {
    char32_t first, last;
  };
  // ASCII with its controls; Latin and Greek; Devanagari to Hangul; astral planes.
  constexpr Range ranges[] = {{0x00, 0x7f},    {0x20, 0x7e},     {0x61, 0x7a},       {0x80, 0x7ff},
                              {0x900, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
  std::string text;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = 2 * static_cast<std::uint64_t>(i);
    const Range& range = ranges[random.below(std::size(ranges), index)];
    const auto code = static_cast<std::uint32_t>(
        range.first + random.below(range.last - range.first + 1, index + 1));
    const auto byte = [&](std::uint32_t value) { text += static_cast<char>(value); };
    if (code < 0x80) {
      byte(code);
    } else if (code < 0x800) {
      byte(0xc0 | code >> 6);
      byte(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      byte(0xe0 | code >> 12);
      byte(0x80 | (code >> 6 & 0x3f));
      byte(0x80 | (code & 0x3f));
    } else {
      byte(0xf0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3f));
      byte(0x80 | (code >> 6 & 0x3f));
      byte(0x80 | (code & 0x3f));
    }
  }
  return text;
}

Folder::Folder() {
  path_ = (std::filesystem::temp_directory_path() / "lathe-conform-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) fail_on_file("make", path_, errno);
}

Folder::~Folder() {
  try {
    remove_all(real_files(), path_);
  } catch (const Error&) {  // a folder too many in /tmp harms nobody
  }
}

Examples::Examples(const RandomStream& random, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const RandomStream own = random.at(static_cast<std::uint64_t>(i));
    Example example;
    const auto length = 2 + own.below(longest - 1, 0);
    example.prompt = std::max<std::int64_t>(1, static_cast<std::int64_t>(length / 3));
    for (std::uint64_t t = 0; t < length; ++t) {
      example.tokens.push_back(static_cast<std::int32_t>(own.below(vocabulary, t + 1)));
      example.weights.push_back(static_cast<std::int64_t>(t) < example.prompt ? 0.0f : 1.0f);
    }
    text_.insert(text_.end(), example.tokens.begin(), example.tokens.end());
    all_.push_back(std::move(example));
  }
}

// The tokens after the prompt in reverse, all of them moved by one: as long, and never the same.
Example Examples::rejected(Split split, std::int64_t index) const {
  Example other = example(split, index);
  const std::vector<std::int32_t> own = other.tokens;
  const auto prompt = static_cast<std::size_t>(other.prompt);
  for (std::size_t t = prompt; t < own.size(); ++t) {
    other.tokens[t] =
        (own[prompt + own.size() - 1 - t] + 1) % static_cast<std::int32_t>(vocabulary);
  }
  return other;
}

std::shared_ptr<Backend> reference(const Trial& trial) {
  return trial.registry().create<Backend>("reference", Config());
}

double relative_error(const std::vector<double>& got, const std::vector<double>& wanted) {
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    norm += wanted[i] * wanted[i];
  }
  if (std::isnan(error)) return error;
  if (norm == 0) return error == 0 ? 0 : std::numeric_limits<double>::infinity();
  return std::sqrt(error / norm);
}

}  // namespace lathe::conform
