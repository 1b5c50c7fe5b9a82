#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/io/events.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <map>

#include "../base/faulty_files.h"
#include "../base/temporary_folder.h"

namespace lathe {
namespace {

using testing::FaultyFiles;

// A little reader of its own: the fields of a protocol buffer, each with its bytes or its number.
using Fields = std::multimap<std::uint64_t, std::string>;

std::uint64_t read_varint(std::string_view& text) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(text.at(0));
    text.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
}

Fields fields_of(std::string_view text) {
  Fields fields;
  while (!text.empty()) {
    const std::uint64_t key = read_varint(text);
    std::size_t size = 0;
    if ((key & 7) == 0) {
      fields.emplace(key >> 3, std::to_string(static_cast<std::int64_t>(read_varint(text))));
      continue;
    }
    if ((key & 7) == 1) size = 8;
    if ((key & 7) == 5) size = 4;
    if ((key & 7) == 2) size = read_varint(text);
    EXPECT_GT(key & 7, 0u);
    fields.emplace(key >> 3, text.substr(0, size));
    text.remove_prefix(size);
  }
  return fields;
}

const std::string& one(const Fields& fields, std::uint64_t number) {
  EXPECT_EQ(fields.count(number), 1u) << number;
  return fields.find(number)->second;
}

template <class T>
T as(std::string_view bytes, std::size_t index = 0) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

std::vector<Fields> events_in(std::string_view file) {
  std::vector<Fields> events;
  while (!file.empty()) {
    const auto length = as<std::uint64_t>(file);
    EXPECT_EQ(as<std::uint32_t>(file.substr(8)), masked_crc(crc32c(file.substr(0, 8))));
    const std::string_view data = file.substr(12, length);
    EXPECT_EQ(as<std::uint32_t>(file.substr(12 + length)), masked_crc(crc32c(data)));
    events.push_back(fields_of(data));
    file.remove_prefix(16 + length);
  }
  return events;
}

TEST(Events, DecodeToWhatWasWritten) {
  FaultyFiles files;
  EventWriter writer(files, "run");
  writer.scalar("loss", 2.5, 7);
  writer.scalar("bad", std::numeric_limits<double>::quiet_NaN(), 300);
  writer.text("sample", "**hi**", 8);
  writer.flush();
  ASSERT_NE(writer.path().find("run/events.out.tfevents."), std::string::npos);
  const std::vector<Fields> events = events_in(files.content(writer.path()));
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(one(events[0], 3), "brain.Event:2");
  EXPECT_GT(as<double>(one(events[0], 1)), 1.6e9);
  EXPECT_EQ(one(fields_of(one(events[1], 7)), 1), "1");  // the first START is no restart
  EXPECT_EQ(one(events[2], 2), "7");
  const Fields loss = fields_of(one(fields_of(one(events[2], 5)), 1));
  EXPECT_EQ(one(loss, 1), "loss");
  EXPECT_EQ(as<float>(one(loss, 2)), 2.5f);
  EXPECT_EQ(one(events[3], 2), "300");
  EXPECT_TRUE(std::isnan(as<float>(one(fields_of(one(fields_of(one(events[3], 5)), 1)), 2))));
  const Fields sample = fields_of(one(fields_of(one(events[4], 5)), 1));
  EXPECT_EQ(one(fields_of(one(fields_of(one(sample, 9)), 1)), 1), "text");
  EXPECT_EQ(one(fields_of(one(sample, 8)), 1), "7");
  EXPECT_EQ(one(fields_of(one(sample, 8)), 8), "**hi**");
}

TEST(Events, HistogramsCountEveryFiniteValue) {
  FaultyFiles files;
  EventWriter writer(files, "run");
  std::vector<float> values = {-1, 2, 0.5f, 0.5f, INFINITY, NAN};
  writer.histogram("h", values, 1);
  writer.histogram("same", std::vector<float>(3, 4.0f), 1);
  writer.histogram("none", std::vector<float>{NAN}, 1);
  writer.flush();
  const std::vector<Fields> events = events_in(files.content(writer.path()));
  ASSERT_EQ(events.size(), 4u);
  const auto histogram = [&](std::size_t event) {
    return fields_of(one(fields_of(one(fields_of(one(events[event], 5)), 1)), 5));
  };
  const Fields h = histogram(2);
  EXPECT_EQ(as<double>(one(h, 1)), -1);
  EXPECT_EQ(as<double>(one(h, 2)), 2);
  EXPECT_EQ(as<double>(one(h, 3)), 4);
  EXPECT_EQ(as<double>(one(h, 4)), 2);
  EXPECT_EQ(as<double>(one(h, 5)), 5.5);
  ASSERT_EQ(one(h, 6).size(), 30 * sizeof(double));
  EXPECT_EQ(as<double>(one(h, 6), 29), 2);
  EXPECT_EQ(as<double>(one(h, 7), 0), 1);
  EXPECT_EQ(as<double>(one(h, 7), 15), 2);  // 0.5 is the lower edge of the sixteenth bucket
  EXPECT_EQ(as<double>(one(h, 7), 29), 1);
  const Fields same = histogram(3);
  EXPECT_EQ(as<double>(one(same, 6)), 4);
  EXPECT_EQ(as<double>(one(same, 7)), 3);
}

TEST(Events, ResumingAppendsAndDropsLaterSteps) {
  FaultyFiles files;
  std::string path;
  {
    EventWriter writer(files, "run");
    path = writer.path();
    for (int step = 1; step <= 5; ++step) writer.scalar("x", step, step);
  }
  const std::string whole = files.content(path);
  files.set_content(path, whole + whole.substr(0, 20));  // torn by a kill
  {
    EventWriter writer(files, "run", 3);
    EXPECT_EQ(writer.path(), path);
    writer.scalar("x", 40, 4);
  }
  EXPECT_EQ(files.content(path).substr(0, whole.size()), whole);
  const std::vector<Fields> events = events_in(files.content(path));
  ASSERT_EQ(events.size(), 9u);
  EXPECT_EQ(one(events[7], 2), "4");  // SessionLog START at the first step to be dropped
  EXPECT_EQ(one(fields_of(one(events[7], 7)), 1), "1");
  EXPECT_EQ(one(events[8], 2), "4");
}

TEST(Events, EveryPrefixIsCutToWholeRecords) {
  FaultyFiles files;
  std::string path;
  {
    EventWriter writer(files, "run");
    path = writer.path();
    writer.scalar("x", 1, 1);
  }
  const std::string file = files.content(path);
  std::vector<std::uint64_t> ends = {0};
  while (ends.back() < file.size()) {
    ends.push_back(ends.back() + 16 +
                   as<std::uint64_t>(std::string_view(file).substr(ends.back())));
  }
  ASSERT_EQ(ends.size(), 4u);
  for (std::size_t length = 0; length <= file.size(); ++length) {
    EXPECT_EQ(whole_records(std::string_view(file).substr(0, length)),
              *std::prev(std::upper_bound(ends.begin(), ends.end(), length)));
  }
  std::string damaged = file;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  EXPECT_EQ(whole_records(damaged), ends[2]);
}

TEST(Events, LongRunsAreWrittenAlongTheWay) {
  FaultyFiles files;
  EventWriter writer(files, "run");
  for (int step = 0; step < 3000; ++step) writer.scalar("loss", step, step);
  EXPECT_GT(files.content(writer.path()).size(), 60000u);
}

}  // namespace
}  // namespace lathe
