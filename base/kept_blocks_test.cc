#include "base/kept_blocks.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace rein {
namespace {

constexpr size_t kMega = 1 << 20;
using Bytes = std::vector<uint8_t, KeptBlocks<uint8_t>>;

// Every test has a thread of its own, which has kept nothing yet.
template <typename Test>
void OnNewThread(Test test) {
  std::thread(test).join();
}

TEST(KeptBlocks, GiveTheSmallestThatFitsAgain) {
  OnNewThread([] {
    void *one = TakeBlock(kMega), *two = TakeBlock(2 * kMega);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(one) % 64, 0u);
    GiveBlockBack(two);
    GiveBlockBack(one);
    EXPECT_EQ(KeptBytes(), 3 * kMega);
    void *first = TakeBlock(kMega - 7), *second = TakeBlock(kMega);
    EXPECT_EQ(first, one);
    EXPECT_EQ(second, two);
    EXPECT_EQ(KeptBytes(), 0u);
    GiveBlockBack(first);
    GiveBlockBack(second);
    EXPECT_EQ(KeptBytes(), 3 * kMega) << "a block that serves a smaller request keeps its size";
  });
}

TEST(KeptBlocks, AreNotWastedOnSmallRequests) {
  OnNewThread([] {
    GiveBlockBack(TakeBlock(4 * kMega));
    void *small = TakeBlock(kMega), *tiny = TakeBlock(100);
    EXPECT_EQ(KeptBytes(), 4 * kMega);
    GiveBlockBack(small);
    GiveBlockBack(tiny);
    EXPECT_EQ(KeptBytes(), 5 * kMega);
  });
}

TEST(KeptBlocks, AreFewAndTheOldestGo) {
  OnNewThread([] {
    std::vector<void *> blocks;
    for (size_t i = 1; i <= 6; ++i) blocks.push_back(TakeBlock(i * kMega));
    for (void *block : blocks) GiveBlockBack(block);
    EXPECT_EQ(KeptBytes(), (3 + 4 + 5 + 6) * kMega);
    GiveBlockBack(TakeBlock(40 * kMega));
    EXPECT_EQ(KeptBytes(), (6 + 40) * kMega);
    GiveBlockBack(TakeBlock(100 * kMega));
    EXPECT_EQ(KeptBytes(), 0u) << "one that is too large by itself";
  });
}

TEST(KeptBlocks, ServeVectorsThatInitializeOnlyWhatTheyAreGiven) {
  OnNewThread([] {
    Bytes bytes(kMega, 7);
    const uint8_t *place = bytes.data();
    bytes = Bytes();
    Bytes again(kMega);
    EXPECT_EQ(again.data(), place);
    EXPECT_EQ(again[kMega - 1], 7) << "nothing was written";
    const Bytes copy = again;
    EXPECT_TRUE(copy == again);
    EXPECT_EQ(Bytes(3, 1)[2], 1);
  });
}

TEST(KeptBlocks, PassFromThreadToThread) {
  Bytes bytes;
  OnNewThread([&bytes] { bytes = Bytes(kMega, 5); });
  EXPECT_EQ(bytes[kMega - 1], 5);
  OnNewThread([&bytes] { bytes = Bytes(); });
}

TEST(KeptBlocks, RefuseSizesThatNoMemoryHas) {
  EXPECT_THROW(TakeBlock(SIZE_MAX), std::bad_alloc);
  EXPECT_THROW(KeptBlocks<uint32_t>().allocate(SIZE_MAX / 2), std::bad_array_new_length);
}

}  // namespace
}  // namespace rein
