#include "training/packing.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::training {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PackByTokens, FillsUpToTheLimitInOrder) {
  EXPECT_THAT(PackByTokens({40, 50, 10, 1, 99, 100}, 100),
              ElementsAre(MicroBatch{0, 3}, MicroBatch{3, 5}, MicroBatch{5, 6}));
}

TEST(PackByTokens, GivesAnItemOverTheLimitItsOwnMicroBatch) {
  EXPECT_THAT(PackByTokens({10, 500, 10}, 100),
              ElementsAre(MicroBatch{0, 1}, MicroBatch{1, 2}, MicroBatch{2, 3}));
  EXPECT_THAT(PackByTokens({10, 10}, 0), ElementsAre(MicroBatch{0, 1}, MicroBatch{1, 2}));
}

TEST(DivideByTokens, BalancesAndKeepsTheOrder) {
  EXPECT_THAT(DivideByTokens({5, 90, 40, 50, 5}, 2), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3, 4)));
  EXPECT_THAT(DivideByTokens({1, 1, 1}, 1), ElementsAre(ElementsAre(0, 1, 2)));
}

TEST(DivideByTokens, LeavesPartsEmptyWhereThereAreTooFewItems) {
  EXPECT_THAT(DivideByTokens({3, 7}, 3), ElementsAre(ElementsAre(1), ElementsAre(0), IsEmpty()));
  EXPECT_THAT(DivideByTokens({}, 2), ElementsAre(IsEmpty(), IsEmpty()));
}

TEST(PackByTokens, OfNothingIsNothing) { EXPECT_THAT(PackByTokens({}, 100), IsEmpty()); }

}  // namespace
}  // namespace rein::training
