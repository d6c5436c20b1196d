#include "base/positional_io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "gtest/gtest.h"

namespace rein {
namespace {

TEST(PositionalIo, ReadsWhatWasWrittenAndNoticesTheEnd) {
  std::string path = testing::TempDir() + "positional_io_XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  ASSERT_GE(fd, 0);
  unlink(path.c_str());
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  ASSERT_TRUE(WriteFully(fd, "abcdef", 6, 3));
  ASSERT_TRUE(WriteFully(fd, "XY", 2, 5));
  std::string read(4, '\0');
  EXPECT_EQ(ReadFully(fd, read.data(), read.size(), 3), 4);
  EXPECT_EQ(read, "abXY");
  EXPECT_EQ(ReadFully(fd, read.data(), read.size(), 7), 2);
  EXPECT_EQ(read, "efXY");
  EXPECT_EQ(ReadFully(fd, read.data(), read.size(), 9), 0);
}

TEST(PositionalIo, SaysWhyItFails) {
  char byte = 0;
  EXPECT_EQ(ReadFully(-1, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EBADF);
  errno = 0;
  EXPECT_FALSE(WriteFully(-1, &byte, 1, 0));
  EXPECT_EQ(errno, EBADF);
}

}  // namespace
}  // namespace rein
