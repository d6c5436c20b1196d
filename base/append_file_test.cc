#include "base/append_file.h"

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/tiny_disk.h"
#include "gtest/gtest.h"

namespace rein {
namespace {

namespace fs = std::filesystem;

class AppendFileTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
  }
  void TearDown() override { fs::remove_all(folder_); }
  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_append_file_test.", getpid());
};

TEST_F(AppendFileTest, AppendsToWhatIsThere) {
  EXPECT_TRUE(AppendToFile(folder_ / "a", "one\n").ok());
  EXPECT_TRUE(AppendToFile(folder_ / "a", "two\n").ok());
  EXPECT_EQ(ReadFile(folder_ / "a").value(), "one\ntwo\n");
}

TEST_F(AppendFileTest, NamesAFileThatCannotBeMade) {
  const absl::Status status = AppendToFile(folder_ / "missing" / "a", "x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("missing/a"), std::string::npos);
}

TEST_F(AppendFileTest, TellsThatTheDiskIsFull) {
  fs::create_symlink("/dev/full", folder_ / "a");
  EXPECT_EQ(AppendToFile(folder_ / "a", "x").code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(AppendFileTest, LeavesNoHalfRecordOnAFullDisk) {
  const TinyDisk disk(folder_ / "disk", 16 << 10);
  if (disk.folder().empty()) GTEST_SKIP() << "this process may not mount a small disk";
  ASSERT_TRUE(AppendToFile(disk.folder() / "a", "one\n").ok());
  EXPECT_EQ(AppendToFile(disk.folder() / "a", std::string(64 << 10, 'x')).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(AppendToFile(disk.folder() / "a", "two\n").ok());
  EXPECT_EQ(ReadFile(disk.folder() / "a").value(), "one\ntwo\n");
}

}  // namespace
}  // namespace rein
