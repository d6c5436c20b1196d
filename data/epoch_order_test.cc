#include "data/epoch_order.h"

#include <set>

#include "gtest/gtest.h"

namespace rein::data {
namespace {

std::vector<size_t> Epoch(EpochOrder& order, int64_t epoch, size_t size) {
  std::vector<size_t> rows;
  for (size_t i = 0; i < size; ++i)
    rows.push_back(order.At(epoch * static_cast<int64_t>(size) + static_cast<int64_t>(i)));
  return rows;
}

TEST(EpochOrder, ShowsEveryRowOnceAnEpochInAnotherOrder) {
  EpochOrder order(7, 50);
  const std::vector<size_t> first = Epoch(order, 0, 50), second = Epoch(order, 1, 50);
  EXPECT_EQ(std::set<size_t>(first.begin(), first.end()).size(), 50u);
  EXPECT_EQ(std::set<size_t>(second.begin(), second.end()).size(), 50u);
  EXPECT_NE(first, second);
}

TEST(EpochOrder, DependsOnSeedAndPositionOnly) {
  EpochOrder order(7, 50), again(7, 50), other(8, 50);
  const std::vector<size_t> later = Epoch(order, 3, 50);
  EXPECT_EQ(Epoch(again, 3, 50), later);
  EXPECT_NE(Epoch(other, 3, 50), later);
  EXPECT_EQ(order.At(160), later[10]);
}

TEST(EpochOrder, OfOneRowRepeatsIt) {
  EpochOrder order(1, 1);
  EXPECT_EQ(order.At(0), 0u);
  EXPECT_EQ(order.At(1000), 0u);
}

}  // namespace
}  // namespace rein::data
