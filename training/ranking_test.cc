#include "training/ranking.h"

#include "gtest/gtest.h"

namespace rein::training {
namespace {

TEST(RankingAccuracy, CountsStrictlyBetterPairsOnly) {
  EXPECT_DOUBLE_EQ(RankingAccuracy({1.2f, -0.3f, 0.7f}, {0.4f, 0.1f, -2.0f}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(RankingAccuracy({1, 2}, {1, 1}), 0.5);
}

TEST(SignAccuracy, LeavesOutRatingsOfZero) {
  EXPECT_DOUBLE_EQ(*SignAccuracy({1, -1, 5, -5}, {2, 3, 0, -1}), 2.0 / 3);
  EXPECT_EQ(SignAccuracy({1, 2}, {0, 0}), std::nullopt);
}

TEST(SignAccuracy, AScoreOfZeroIsWrong) { EXPECT_DOUBLE_EQ(*SignAccuracy({0}, {1}), 0); }

TEST(AreaUnderCurve, IsTheChanceOfOrderingAHarmfulAndAHarmlessAnswer) {
  EXPECT_DOUBLE_EQ(*AreaUnderCurve({3, 1, 2, 0}, {1, 1, -1, -1}), 0.75);
  EXPECT_DOUBLE_EQ(*AreaUnderCurve({0, 1, 2, 3}, {1, 1, -1, -1}), 0);
}

TEST(AreaUnderCurve, CountsTiesHalfAndNeedsBothKinds) {
  EXPECT_DOUBLE_EQ(*AreaUnderCurve({1, 1, 1, 9}, {1, -1, -1, 0}), 0.5);
  EXPECT_EQ(AreaUnderCurve({1, 2}, {1, 3}), std::nullopt);
}

TEST(CalibrationError, IsTheDistanceOfProbabilitiesFromShares) {
  // sigmoid(0) = 0.5 and half are harmful; sigmoid(20) = 1 and none is.
  EXPECT_NEAR(*CalibrationError({0, 0, 0, 0}, {1, -1, 2, -3}), 0, 1e-12);
  EXPECT_NEAR(*CalibrationError({20, 20}, {-1, -1}), 1, 1e-8);
  EXPECT_NEAR(*CalibrationError({0, 0, 20, 20}, {1, -1, -1, -1}), 0.5, 1e-8);
  // Two bins whose errors point in different directions do not cancel.
  EXPECT_NEAR(*CalibrationError({20, -20}, {-1, 1}), 1, 1e-8);
}

TEST(BrierScore, IsTheMeanSquaredDistance) {
  EXPECT_NEAR(*BrierScore({0, 20}, {1, 1}), 0.125, 1e-8);
  EXPECT_NEAR(*BrierScore({-20, 20}, {1, -1}), 1, 1e-8);
}

TEST(Calibration, LeavesOutRatingsOfZero) {
  EXPECT_EQ(CalibrationError({1, 2}, {0, 0}), std::nullopt);
  EXPECT_EQ(BrierScore({1, 2}, {0, 0}), std::nullopt);
  EXPECT_NEAR(*BrierScore({0, 5}, {1, 0}), 0.25, 1e-12);
}

}  // namespace
}  // namespace rein::training
