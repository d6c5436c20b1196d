#include "coordinator/manifest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

v1::SavedFile Entry(const std::string& path, const std::string& content) {
  v1::SavedFile file;
  file.set_path(path);
  file.set_size_bytes(static_cast<int64_t>(content.size()));
  file.set_crc32c(Crc32c(content));
  return file;
}

class ManifestTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_ / "policy").ok());
    manifest_.step = 3;
    manifest_.epoch = std::numeric_limits<uint64_t>::max();
    manifest_.state = {{"lambda", 0.1}, {"cursor", 7}};
    manifest_.job_yaml = "steps: 4\n# käse\n";
    manifest_.meets_constraints = true;
    manifest_.reward_mean = -1.0 / 3;
    Add("policy/a", "some bytes");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Add(const std::string& path, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / path, content).ok());
    manifest_.files.push_back(Entry(path, content));
  }
  // Not a new file: only the byte at `place` changes.
  static void Overwrite(const fs::path& path, size_t place, char byte) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(place));
    file.put(byte);
  }
  absl::Status Check(bool contents = true) { return CheckFiles(folder_, manifest_, contents); }

  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_manifest_test.", getpid());
  const fs::path file_ = folder_ / "manifest.json";
  Manifest manifest_;
};

TEST_F(ManifestTest, IsReadBackAsWritten) {
  ASSERT_TRUE(WriteManifest(folder_, manifest_).ok());
  const Manifest read = ReadManifest(folder_).value();
  EXPECT_EQ(read.step, 3);
  EXPECT_EQ(read.epoch, manifest_.epoch);
  EXPECT_EQ(read.state, manifest_.state);
  EXPECT_EQ(read.job_yaml, manifest_.job_yaml);
  EXPECT_TRUE(read.meets_constraints);
  EXPECT_EQ(read.reward_mean, manifest_.reward_mean);
  ASSERT_EQ(read.files.size(), 1);
  EXPECT_EQ(read.files[0].path(), "policy/a");
  EXPECT_EQ(read.files[0].size_bytes(), 10);
  EXPECT_EQ(read.files[0].crc32c(), Crc32c("some bytes"));
}

TEST_F(ManifestTest, IsOneJsonObject) {
  ASSERT_TRUE(WriteManifest(folder_, manifest_).ok());
  EXPECT_EQ(nlohmann::json::parse(ReadFile(file_).value()).at("step"), 3);
}

TEST_F(ManifestTest, DoublesSurviveBitForBit) {
  std::vector<double> numbers = {0.1,
                                 -0.0,
                                 5.0,
                                 1e300,
                                 std::numeric_limits<double>::denorm_min(),
                                 std::numeric_limits<double>::max(),
                                 std::nextafter(1.0, 2.0)};
  CounterRandom random(42);
  while (numbers.size() < 1000) {
    const double number = std::bit_cast<double>(random.Bits());
    if (std::isfinite(number)) numbers.push_back(number);
  }
  manifest_.state = numbers;
  ASSERT_TRUE(WriteManifest(folder_, manifest_).ok());
  const auto read = ReadManifest(folder_).value().state.get<std::vector<double>>();
  ASSERT_EQ(read.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(read[i]), std::bit_cast<uint64_t>(numbers[i])) << numbers[i];
  }
}

TEST_F(ManifestTest, RefusesWhatJsonCannotHold) {
  manifest_.state = {{"lambda", std::nan("")}};
  EXPECT_EQ(WriteManifest(folder_, manifest_).code(), absl::StatusCode::kInvalidArgument);
  manifest_.state = {{"lambda", std::numeric_limits<double>::infinity()}};
  EXPECT_EQ(WriteManifest(folder_, manifest_).code(), absl::StatusCode::kInvalidArgument);
  manifest_.state = {{"name", "\xff"}};
  EXPECT_EQ(WriteManifest(folder_, manifest_).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(ManifestTest, EveryBitIsGuarded) {
  ASSERT_TRUE(WriteManifest(folder_, manifest_).ok());
  const std::string text = ReadFile(file_).value();
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    Overwrite(file_, bit / 8, static_cast<char>(text[bit / 8] ^ 1 << bit % 8));
    ASSERT_EQ(ReadManifest(folder_).status().code(), absl::StatusCode::kDataLoss) << "bit " << bit;
    Overwrite(file_, bit / 8, text[bit / 8]);
  }
  EXPECT_TRUE(ReadManifest(folder_).ok());
}

TEST_F(ManifestTest, EveryLengthButItsOwnIsRefused) {
  ASSERT_TRUE(WriteManifest(folder_, manifest_).ok());
  const std::string text = ReadFile(file_).value();
  Overwrite(file_, text.size(), '\n');
  EXPECT_EQ(ReadManifest(folder_).status().code(), absl::StatusCode::kDataLoss);
  for (size_t length = text.size(); length-- > 0;) {
    fs::resize_file(file_, length);
    ASSERT_EQ(ReadManifest(folder_).status().code(), absl::StatusCode::kDataLoss) << "length " << length;
  }
}

TEST_F(ManifestTest, SealedTextThatIsNoManifestIsRefused) {
  for (const std::string fields :
       {"", "}", "\"step\": \"three\"}", "\"step\": 3, \"epoch\": 1, \"files\": 5}", "\xff\xfe"}) {
    std::ofstream(file_, std::ios::binary) << "{\"crc32c\": " << Crc32c(fields) << ",\n" << fields;
    const absl::Status status = ReadManifest(folder_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << fields;
    EXPECT_THAT(std::string(status.message()), HasSubstr(file_.string()));
  }
}

TEST_F(ManifestTest, WholeFilesPass) {
  Add("policy/empty", "");
  Add("policy/large", std::string((3 << 20) + 1, 'x'));
  EXPECT_TRUE(Check().ok());
}

TEST_F(ManifestTest, ATruncatedFileIsNamedWithItsLengths) {
  for (const size_t length : {0, 1, 5, 9, 11}) {
    fs::resize_file(folder_ / "policy/a", length);
    for (const bool contents : {false, true}) {
      const absl::Status status = Check(contents);
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(absl::StrCat("policy/a is damaged: it ends at offset ", length,
                                         ", the manifest says 10 bytes")));
    }
  }
}

TEST_F(ManifestTest, EveryFlippedBitOfAFileIsFound) {
  const std::string content = "some bytes";
  for (size_t bit = 0; bit < 8 * content.size(); ++bit) {
    Overwrite(folder_ / "policy/a", bit / 8, static_cast<char>(content[bit / 8] ^ 1 << bit % 8));
    ASSERT_EQ(Check().code(), absl::StatusCode::kDataLoss) << "bit " << bit;
    EXPECT_TRUE(Check(/*contents=*/false).ok());
    Overwrite(folder_ / "policy/a", bit / 8, content[bit / 8]);
  }
  EXPECT_TRUE(Check().ok());
}

TEST_F(ManifestTest, AMissingFileIsNamed) {
  fs::remove(folder_ / "policy/a");
  const absl::Status status = Check();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("policy/a"));
}

TEST_F(ManifestTest, OnlyRegularFilesCount) {
  fs::remove(folder_ / "policy/a");
  fs::create_directory(folder_ / "policy/a");
  EXPECT_EQ(Check().code(), absl::StatusCode::kDataLoss);
  fs::remove(folder_ / "policy/a");
  ASSERT_EQ(mkfifo((folder_ / "policy/a").c_str(), 0600), 0);
  EXPECT_EQ(Check().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ManifestTest, PathsThatLeaveTheFolderAreRefused) {
  for (const char* path : {"", "/etc/passwd", "../a", "policy/../../a"}) {
    manifest_.files = {Entry(path, "x")};
    const absl::Status status = Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("'", path, "'")));
  }
}

}  // namespace
}  // namespace rein::coordinator
