#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/safetensors.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "../base/faulty_files.h"
#include "../base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string file_with(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  text += header;
  text += data;
  return text;
}

TEST(Safetensors, EveryVectorGetsItsVerdict) {
  const char* const data = std::getenv("LATHE_DATA");
  const std::string path = data == nullptr ? "" : join(data, "safetensors-vectors/vectors.jsonl");
  if (data == nullptr || !exists(path)) GTEST_SKIP() << "skipped: no data";
  const std::string text = read_file(path);
  int accepted = 0, rejected = 0;
  for (std::size_t at = 0, line = 1; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const Json vector = parse_json_line(text.substr(at, end - at), path, line);
    at = end + 1;
    const std::string hex = vector["hex"];
    std::string file;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      file += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    bool good = true;
    try {
      parse_tensors(bytes_of(file), "v");
    } catch (const Error&) {
      good = false;
    }
    EXPECT_EQ(good, vector["verdict"] == "accept") << vector["reason"];
    ++(good ? accepted : rejected);
  }
  EXPECT_GT(accepted, 3);
  EXPECT_GT(rejected, 10);
}

TEST(Safetensors, RefusesWhatTheVectorsLeaveOut) {
  const std::string data(8, '\0');
  const auto rejects = [&](std::string_view header, std::string_view reason) {
    const std::string file = file_with(header, data);
    const std::string text = error_of([&] { parse_tensors(bytes_of(file), "f.st"); });
    EXPECT_EQ(text.find("f.st"), 0u);
    EXPECT_NE(text.find(reason), std::string::npos) << text;
  };
  const auto one = [](std::string_view type, std::string_view shape, std::string_view offsets) {
    return cat(R"({"a":{"dtype":")", type, R"(","shape":)", shape, R"(,"data_offsets":)", offsets,
               "}}");
  };
  EXPECT_NO_THROW(parse_tensors(bytes_of(file_with(one("F32", "[2]", "[0,8]"), data)), "x"));
  EXPECT_NO_THROW(parse_tensors(bytes_of(file_with(one("F4", "[4,4]", "[0,8]"), data)), "x"));
  rejects(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
          R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          "duplicate key \"a\"");
  rejects(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
          R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          "begins at byte 0 of the data; expected 8");
  rejects(one("F32", "[2]", "[8,0]"), "do not lie inside");
  rejects(one("F32", "[-2]", "[0,8]"), "expected integers of 0 or more");
  rejects(one("F32", "[2]", "[0,8,8]"), "must be [begin, end]");
  rejects(one("F32", "3", "[0,8]"), "expected a list of integers");
  rejects(one("F32", "[3]", "[0,8]"), "needs 12 bytes, but data_offsets [0, 8] hold 8");
  rejects(one("F32", "[2]", "[0,16]"), "the file may be cut off");
  rejects(one("F32", "[1]", "[0,4]"), "the tensors end at byte 4 of the data");
  rejects(one("F4", "[3]", "[0,8]"), "whole bytes");
  rejects(one("f32", "[2]", "[0,8]"), "unknown dtype \"f32\"");
  rejects(R"({"__metadata__":{"a":1}})", "expected a string");
  rejects(R"({"__metadata__":[]})", "not an object");
  rejects("[]", "expected an object");
  rejects("{}", "the file holds 8");
  rejects("{\"\xff\":1}", "(header):1:");
  EXPECT_THROW(parse_tensors(bytes_of("1234567"), "x"), Error);
}

// Truncated anywhere, or with any one byte of the header replaced, a file must be refused or read
// without touching foreign memory (run under the address sanitizer).
TEST(Safetensors, SurvivesDamage) {
  const float values[2] = {1.5f, -2};
  const TensorEntry entry{"a", TensorType::F32, {2}, std::as_bytes(std::span(values))};
  std::string file;
  TensorLayout(std::span(&entry, 1)).write([&](std::span<const std::byte> part) {
    file.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_THROW(parse_tensors(bytes_of(std::string_view(file).substr(0, length)), "x"), Error);
  }
  int refused = 0;
  for (std::size_t at = 0; at < file.size() - 8; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(byte);
      try {
        parse_tensors(bytes_of(damaged), "x");
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Safetensors, WritesTheDocumentedBytesAndReadsThemBack) {
  const TemporaryFolder folder;
  const float f[2] = {1.5f, -2};
  const double d[1] = {0.1};
  const std::uint8_t u[3] = {1, 2, 3};
  const std::vector<TensorEntry> entries = {
      {"u", TensorType::U8, {3}, std::as_bytes(std::span(u))},
      {"b", TensorType::F32, {1, 2}, std::as_bytes(std::span(f))},
      {"d", TensorType::F64, {}, std::as_bytes(std::span(d))},
      {"empty", TensorType::F32, {0, 5}, {}}};
  const std::string path = folder / "t.safetensors";
  write_tensors(real_files(), path, entries, {{"step", "3"}});
  const std::string header = R"({"__metadata__":{"format":"pt","step":"3"},)"
                             R"("b":{"data_offsets":[8,16],"dtype":"F32","shape":[1,2]},)"
                             R"("d":{"data_offsets":[0,8],"dtype":"F64","shape":[]},)"
                             R"("empty":{"data_offsets":[16,16],"dtype":"F32","shape":[0,5]},)"
                             R"("u":{"data_offsets":[16,19],"dtype":"U8","shape":[3]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  std::string data(reinterpret_cast<const char*>(d), 8);
  data.append(reinterpret_cast<const char*>(f), 8).append("\1\2\3");
  EXPECT_EQ(read_file(path), file_with(padded, data));
  EXPECT_EQ(TensorLayout(entries, {{"step", "3"}}).size(), 8 + padded.size() + data.size());

  const TensorFile file = open_tensors(path);
  EXPECT_EQ(file.entries().size(), 4u);
  EXPECT_EQ(file.metadata().at("step"), "3");
  float back[2];
  read_floats(file.at("b"), back);
  EXPECT_EQ(back[0], 1.5f);
  EXPECT_EQ(back[1], -2.0f);
  EXPECT_EQ(file.at("empty").elements(), 0);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_NE(error_of([&] { file.at("emptu"); }).find("the nearest name is \"empty\""),
            std::string::npos);
  const std::int64_t wanted[] = {2};
  EXPECT_NE(error_of([&] {
              file.at("b", wanted);
            }).find("tensor \"b\" has shape [1, 2]; the model expects [2]"),
            std::string::npos);
  EXPECT_NE(error_of([&] { read_floats(file.at("u"), std::span(back, 2)); }).find("3 elements"),
            std::string::npos);
}

TEST(Safetensors, WriterRefusesWhatCannotBeRead) {
  testing::FaultyFiles files;
  const float f[2] = {};
  const auto bytes = std::as_bytes(std::span(f));
  const auto refuses = [&](std::vector<TensorEntry> entries) {
    EXPECT_THROW(write_tensors(files, "t", entries), Error);
    EXPECT_TRUE(files.paths().empty());
  };
  refuses({{"a", TensorType::F32, {2}, bytes}, {"a", TensorType::F32, {2}, bytes}});
  refuses({{"__metadata__", TensorType::F32, {2}, bytes}});
  refuses({{"a", TensorType::F32, {3}, bytes}});
  refuses({{"\xff", TensorType::F32, {2}, bytes}});
}

TEST(Safetensors, ReadsShardsThroughTheirIndex) {
  const TemporaryFolder folder;
  const float f[2] = {1, 2};
  const auto bytes = std::as_bytes(std::span(f));
  const std::vector<TensorEntry> first = {{"a", TensorType::F32, {2}, bytes}};
  const std::vector<TensorEntry> second = {{"b", TensorType::F32, {2}, bytes},
                                           {"c", TensorType::F32, {1}, bytes.first(4)}};
  write_tensors(real_files(), folder / "model-00001-of-00002.safetensors", first);
  write_tensors(real_files(), folder / "model-00002-of-00002.safetensors", second);
  const auto index = [&](std::string_view map) {
    write_durably(folder / "model.safetensors.index.json",
                  cat(R"({"metadata":{"total_size":20},"weight_map":)", map, "}"));
  };
  const std::string one = "\"model-00001-of-00002.safetensors\"";
  const std::string two = "\"model-00002-of-00002.safetensors\"";
  index(cat("{\"a\":", one, ",\"b\":", two, ",\"c\":", two, "}"));
  const TensorFile file = open_tensors(folder.path());
  ASSERT_EQ(file.entries().size(), 3u);
  EXPECT_EQ(file.at("c").shape, std::vector<std::int64_t>{1});

  index(cat("{\"a\":", one, ",\"b\":", two, "}"));
  EXPECT_NE(error_of([&] { open_tensors(folder.path()); }).find("\"c\" is not promised"),
            std::string::npos);
  index(cat("{\"a\":", one, ",\"z\":", one, "}"));
  EXPECT_NE(error_of([&] { open_tensors(folder.path()); }).find("no tensor \"z\""),
            std::string::npos);
  index("{\"a\":\"../secret.safetensors\"}");
  EXPECT_NE(error_of([&] { open_tensors(folder.path()); }).find("not a plain file name"),
            std::string::npos);
  index("{\"a\":\"model.safetensors.index.json\"}");
  EXPECT_THROW(open_tensors(folder.path()), Error);
}

TEST(Safetensors, ConvertsEveryFloatingType) {
  EXPECT_EQ(from_f16(0x3c00), 1.0f);
  EXPECT_EQ(from_f16(0xc000), -2.0f);
  EXPECT_EQ(from_f16(0x7bff), 65504.0f);
  EXPECT_EQ(from_f16(0x0001), 0x1p-24f);
  EXPECT_EQ(from_f16(0x83ff), -0x1.ff8p-15f);
  EXPECT_EQ(from_f16(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(from_f16(0x7e00)));
  EXPECT_TRUE(std::signbit(from_f16(0x8000)));
  const bf16 halves[2] = {bf16(3.0f), bf16(-0.5f)};
  const double doubles[2] = {3, -0.5};
  const std::uint16_t small[2] = {0x4200, 0xb800};
  float back[2];
  for (const TensorEntry& entry :
       {TensorEntry{"x", TensorType::BF16, {2}, std::as_bytes(std::span(halves))},
        TensorEntry{"x", TensorType::F64, {2}, std::as_bytes(std::span(doubles))},
        TensorEntry{"x", TensorType::F16, {2}, std::as_bytes(std::span(small))}}) {
    read_floats(entry, back);
    EXPECT_EQ(back[0], 3.0f);
    EXPECT_EQ(back[1], -0.5f);
  }
  for (const DType type : {DType::f32, DType::bf16, DType::f64, DType::i32}) {
    EXPECT_EQ(dtype_of_tensor(tensor_type(type)), type);
    EXPECT_EQ(bits_of(tensor_type(type)), static_cast<int>(8 * size_of(type)));
  }
  EXPECT_FALSE(dtype_of_tensor(TensorType::I64).has_value());
}

}  // namespace
}  // namespace lathe
