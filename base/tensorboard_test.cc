#include "base/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::Pair;
using testing::SizeIs;

template <typename T>
T ReadNumber(const std::string& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

uint32_t Masked(const std::string& bytes) {
  const uint32_t crc = Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

// The events of a file, its checksums checked.
std::vector<std::string> ReadRecords(const fs::path& path) {
  const std::string bytes = ReadFile(path).value();
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    const uint64_t length = ReadNumber<uint64_t>(bytes, at);
    EXPECT_EQ(ReadNumber<uint32_t>(bytes, at + 8), Masked(bytes.substr(at, 8)));
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(ReadNumber<uint32_t>(bytes, at + 12 + length), Masked(records.back()));
    at += 16 + length;
  }
  return records;
}

struct Field {
  int number = 0;
  uint64_t integer = 0;  // varint, or the bits of a fixed-size number
  std::string bytes;
};

uint64_t ReadVarint(const std::string& bytes, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.at(at++));
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

// The wire format of protocol buffers.
std::vector<Field> ReadFields(const std::string& message) {
  std::vector<Field> fields;
  for (size_t at = 0; at < message.size();) {
    const uint64_t key = ReadVarint(message, at);
    Field& field = fields.emplace_back();
    field.number = static_cast<int>(key >> 3);
    size_t length = 0;
    switch (key & 7) {
      case 0:
        field.integer = ReadVarint(message, at);
        break;
      case 1:
        field.integer = ReadNumber<uint64_t>(message.substr(at, length = 8), 0);
        break;
      case 5:
        field.integer = ReadNumber<uint32_t>(message.substr(at, length = 4), 0);
        break;
      default:
        length = ReadVarint(message, at);
        field.bytes = message.substr(at, length);
        EXPECT_EQ(field.bytes.size(), length);
    }
    at += length;
  }
  return fields;
}

std::string BytesOf(const std::string& message, int number) {
  for (const Field& field : ReadFields(message)) {
    if (field.number == number) return field.bytes;
  }
  return "";
}

int64_t IntegerOf(const std::string& message, int number) {
  for (const Field& field : ReadFields(message)) {
    if (field.number == number) return static_cast<int64_t>(field.integer);
  }
  return -1;
}

// (tag, simple_value) of an event.
std::vector<std::pair<std::string, float>> ScalarsOf(const std::string& event) {
  std::vector<std::pair<std::string, float>> scalars;
  for (const Field& value : ReadFields(BytesOf(event, 5))) {
    const auto bits = static_cast<uint32_t>(IntegerOf(value.bytes, 2));
    float number;
    std::memcpy(&number, &bits, sizeof number);
    scalars.emplace_back(BytesOf(value.bytes, 1), number);
  }
  return scalars;
}

class TensorBoardTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::vector<fs::path> Files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }
  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_tensorboard_test.", getpid());
};

TEST_F(TensorBoardTest, BeginsWithTheFileVersionAndASessionStart) {
  ASSERT_TRUE(TensorBoardWriter::Open(folder_, 41).ok());
  ASSERT_THAT(Files(), SizeIs(1));
  EXPECT_THAT(Files()[0].filename().string(), testing::StartsWith("events.out.tfevents."));
  const std::vector<std::string> records = ReadRecords(Files()[0]);
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(BytesOf(records[0], 3), "brain.Event:2");
  EXPECT_EQ(IntegerOf(records[1], 2), 41);
  EXPECT_EQ(IntegerOf(BytesOf(records[1], 7), 1), 1);  // SessionLog.START
}

TEST_F(TensorBoardTest, WritesOneEventAStep) {
  const auto writer = TensorBoardWriter::Open(folder_, 1).value();
  ASSERT_TRUE(writer->WriteScalars(0, {{"zero", 0}}).ok());
  ASSERT_TRUE(writer->WriteScalars(300, {{"reward_mean", -1.5}, {"constraints/cost/lambda", 0.1}}).ok());
  const std::vector<std::string> records = ReadRecords(Files()[0]);
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_THAT(ScalarsOf(records[2]), ElementsAre(Pair("zero", 0.0f)));
  EXPECT_EQ(IntegerOf(records[3], 2), 300);
  EXPECT_THAT(ScalarsOf(records[3]),
              ElementsAre(Pair("reward_mean", -1.5f), Pair("constraints/cost/lambda", 0.1f)));
}

TEST_F(TensorBoardTest, WritesSeveralStepsAtOnce) {
  const auto writer = TensorBoardWriter::Open(folder_, 1).value();
  ASSERT_TRUE(writer->Write({{7, {{"a", 1}}}, {8, {{"a", 2}}}}).ok());
  const std::vector<std::string> records = ReadRecords(Files()[0]);
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_EQ(IntegerOf(records[2], 2), 7);
  EXPECT_EQ(IntegerOf(records[3], 2), 8);
  EXPECT_THAT(ScalarsOf(records[3]), ElementsAre(Pair("a", 2.0f)));
}

TEST_F(TensorBoardTest, EventsHoldTheWallTime) {
  const auto writer = TensorBoardWriter::Open(folder_, 1).value();
  const double seconds = std::bit_cast<double>(IntegerOf(ReadRecords(Files()[0])[0], 1));
  EXPECT_GT(seconds, 1.6e9);
  EXPECT_LT(seconds, 1e11);
}

TEST_F(TensorBoardTest, ALongEventIsFramedAsWell) {
  const auto writer = TensorBoardWriter::Open(folder_, 1).value();
  std::vector<std::pair<std::string, double>> scalars;
  for (int i = 0; i < 1000; ++i) scalars.emplace_back("metric" + std::to_string(i), std::nan(""));
  ASSERT_TRUE(writer->WriteScalars(1, scalars).ok());
  const auto read = ScalarsOf(ReadRecords(Files()[0])[2]);
  ASSERT_THAT(read, SizeIs(1000));
  EXPECT_EQ(read[999].first, "metric999");
  EXPECT_TRUE(std::isnan(read[999].second));
}

TEST_F(TensorBoardTest, FilesOfOneSecondAreToldApart) {
  const auto first = TensorBoardWriter::Open(folder_, 1).value();
  const auto second = TensorBoardWriter::Open(folder_, 5).value();
  ASSERT_TRUE(second->WriteScalars(5, {{"a", 1}}).ok());
  ASSERT_THAT(Files(), SizeIs(2));
  EXPECT_THAT(ReadRecords(Files()[0]), SizeIs(2));
  EXPECT_THAT(ReadRecords(Files()[1]), SizeIs(3));
}

TEST_F(TensorBoardTest, AFullDiskIsTold) {
  const auto writer = TensorBoardWriter::Open(folder_, 1).value();
  const fs::path file = Files()[0];
  fs::remove(file);
  fs::create_symlink("/dev/full", file);
  EXPECT_EQ(writer->WriteScalars(1, {{"a", 1}}).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(TensorBoardTest, AFolderThatCannotBeMadeIsNamed) {
  const absl::Status status = TensorBoardWriter::Open("/dev/null/x", 1).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/dev/null/x"));
}

}  // namespace
}  // namespace rein
