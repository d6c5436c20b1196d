#include "models/mapped_file.h"

#include <fcntl.h>

#include <cstdlib>
#include <string>

#include "models/test_support.h"

namespace rein::models {
namespace {

constexpr int64_t kBytes = 3 << 20;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    Write(path_, std::string(kBytes, 'a'));
    const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    auto mapped = MappedFile::Map(fd, path_);
    close(fd);
    if (absl::IsUnimplemented(mapped.status())) GTEST_SKIP() << mapped.status();
    ASSERT_TRUE(mapped.ok()) << mapped.status();
    mapped_ = *std::move(mapped);
  }

  // For death tests: the file loses its second half while it is mapped.
  [[noreturn]] void ReadWhatIsNoLongerThere() const {
    std::filesystem::resize_file(path_, kBytes / 2);
    exit(mapped_->data()[kBytes - 1] == 'a' ? 0 : 1);
  }

  const TestFolder folder_;
  const std::filesystem::path path_ = folder_ / "file";
  std::shared_ptr<const MappedFile> mapped_;
};

TEST_F(MappedFileTest, HoldsTheFile) {
  EXPECT_EQ(mapped_->size(), static_cast<uint64_t>(kBytes));
  Populate(mapped_->data() + 5, kBytes - 5);
  EXPECT_EQ(std::string(mapped_->data(), kBytes), std::string(kBytes, 'a'));
}

TEST_F(MappedFileTest, KeepsWritesToItself) {
  mapped_->data()[7] = 'b';
  EXPECT_EQ(ReadFile(path_)->at(7), 'a');
}

TEST_F(MappedFileTest, IsTheFileThatWasMappedWhenAnotherTakesItsName) {
  Write(folder_ / "other", std::string(kBytes, 'b'));
  std::filesystem::rename(folder_ / "other", path_);
  EXPECT_EQ(mapped_->data()[kBytes - 1], 'a');
}

TEST_F(MappedFileTest, NamesAFileThatBecameShorter) {
  EXPECT_DEATH(ReadWhatIsNoLongerThere(), path_.string() + ": cannot be read any more: it became shorter");
}

TEST(MappedFile, ManyMayComeAndGo) {
  const TestFolder folder;
  Write(folder / "file", "text");
  const int fd = open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC);
  for (int i = 0; i < 3000; ++i) {
    const auto mapped = MappedFile::Map(fd, folder / "file");
    if (absl::IsUnimplemented(mapped.status())) GTEST_SKIP() << mapped.status();
    ASSERT_TRUE(mapped.ok()) << i << ": " << mapped.status();
  }
  close(fd);
}

TEST(MappedFile, RefusesAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(MappedFile::Map(ends[0], "pipe").ok());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace rein::models
