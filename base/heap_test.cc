#include "base/heap.h"

#include <malloc.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/test_memory.h"
#include "gtest/gtest.h"

namespace rein {
namespace {

constexpr size_t kLarge = 600 << 10;

// Frees large blocks and keeps small ones between them: 117 MiB and 200 KiB in all.
std::vector<std::string> KeepSmallBlocks() {
  std::vector<std::string> kept;
  for (int i = 0; i < 200; ++i) {
    const std::string large(kLarge, 'x');
    kept.push_back(large.substr(0, 1000));
  }
  return kept;
}

TEST(LargeBlocksApart, GoBackToTheSystem) {
  const int64_t rise = PeakRise([] {
    const LargeBlocksApart apart;
    EXPECT_EQ(KeepSmallBlocks().size(), 200u);
  });
  if (rise < 0) GTEST_SKIP() << "this process cannot reset its peak";
  EXPECT_LT(rise, 8 << 20);
}

TEST(LargeBlocksApart, ComeFromTheHeapAfterwards) {
  if (PeakRise([] {}) < 0) GTEST_SKIP() << "this process has another allocator";
  const auto mapped_blocks = [] {
    const std::string large(kLarge, 'x');
    return mallinfo2().hblks;
  };
  const size_t before = mallinfo2().hblks;
  {
    const LargeBlocksApart outer;
    { const LargeBlocksApart inner; }
    EXPECT_EQ(mapped_blocks(), before + 1);
  }
  EXPECT_EQ(mapped_blocks(), before);
}

TEST(UseHugePages, LeavesTheUsersChoice) {
  const char* name = "THP_MEM_ALLOC_ENABLE";
  unsetenv(name);
  UseHugePages();
  EXPECT_STREQ(getenv(name), "1");
  setenv(name, "0", /*overwrite=*/1);
  UseHugePages();
  EXPECT_STREQ(getenv(name), "0");
  unsetenv(name);
}

}  // namespace
}  // namespace rein
