#include "base/file.h"

#include <filesystem>

#include "gtest/gtest.h"

namespace rein {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "rein_file_test";
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(FileTest, ReadsBackWhatWasWritten) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "a", std::string("x\0y", 3)).ok());
  EXPECT_EQ(ReadFile(folder_ / "a").value(), std::string("x\0y", 3));
}

TEST_F(FileTest, LeavesNoTemporaryBehind) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "a", "x").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, FailedWriteKeepsTheOldContent) {
  const absl::Status status = WriteFileAtomically(folder_ / "missing" / "a", "x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST_F(FileTest, FullDiskIsResourceExhausted) {
  EXPECT_EQ(SystemError(28, "cannot write", "x").code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, RefusesFilesOverTheLimit) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "a", "12345").ok());
  EXPECT_EQ(ReadFile(folder_ / "a", 4).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, NamesAFolderGivenForAFile) {
  EXPECT_EQ(ReadFile(folder_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace rein
