#include "learning/advantage.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::learning {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

// The golden vectors of docs/algorithm.md.
const std::vector<float> kLogp = {-1, -.5f, -2, -.1f};
const std::vector<float> kRef = {-1.2f, -.4f, -1.5f, -.3f};
const std::vector<float> kRewardValues = {.2f, .1f, .4f, .3f};
const std::vector<float> kCostValues = {-.1f, .05f, 0, -.2f};
const ShapingInput kInput{kLogp, kRef};

auto Near(std::vector<float> expected, float tolerance = 1e-6f) {
  std::vector<testing::Matcher<float>> matchers;
  for (const float value : expected) matchers.push_back(FloatNear(value, tolerance));
  return testing::ElementsAreArray(matchers);
}

TEST(Shaping, RewardMatchesTheGoldenVector) {
  EXPECT_THAT(ShapeReward(kInput, 1.5), Near({-.004f, .002f, .01f, 1.496f}));
}

TEST(Shaping, CostMatchesTheGoldenVector) {
  EXPECT_THAT(ShapeCost(kInput, -0.7), Near({.004f, -.002f, -.01f, -.696f}));
}

TEST(Shaping, ClampsEveryToken) { EXPECT_THAT(ShapeReward(kInput, 1000), Near({-.004f, .002f, .01f, 50.f})); }

TEST(Shaping, LengthOneStaysLengthOne) {
  const std::vector<float> logp = {-1}, ref = {-2};
  EXPECT_THAT(ShapeReward({logp, ref}, 3), Near({2.98f}));
}

TEST(Shaping, SequenceKlIsTheSumOverTokens) { EXPECT_NEAR(SequenceKl(kInput), -.2, 1e-6); }

TEST(Gae, RewardMatchesTheGoldenVector) {
  const Advantages result = Gae(ShapeReward(kInput, 1.5), kRewardValues, 1.0, 0.95);
  EXPECT_THAT(result.advantages, Near({1.1270955f, 1.29589f, 1.0462f, 1.196f}));
  EXPECT_THAT(result.returns, Near({1.3270955f, 1.39589f, 1.4462f, 1.496f}));
}

TEST(Gae, CostMatchesTheGoldenVector) {
  const Advantages result = Gae(ShapeCost(kInput, -0.7), kCostValues, 1.0, 0.95);
  EXPECT_THAT(result.advantages, Near({-.510183f, -.69914f, -.6812f, -.496f}));
}

TEST(Gae, WithLambdaOneIsReturnMinusValue) {
  const std::vector<float> rewards = {1, 2, 3}, values = {.5f, -.5f, 4};
  EXPECT_THAT(Gae(rewards, values, 1, 1).advantages, Near({5.5f, 5.5f, -1}));
}

TEST(Mixing, MatchesTheGoldenVector) {
  const std::vector<float> reward = {1.1270955f, 1.29589f, 1.0462f, 1.196f};
  const std::vector<std::vector<float>> costs = {{-.510183f, -.69914f, -.6812f, -.496f}};
  EXPECT_THAT(MixAdvantages(reward, costs, {10.0}), Near({.566265955f, .75339f, .714381818f, .559636364f}));
}

TEST(Mixing, SeveralConstraintsShareOneDenominator) {
  EXPECT_THAT(MixAdvantages({6.f}, {{1.f}, {2.f}}, {1.0, 2.0}), Near({0.25f}));
}

TEST(Mixing, RewardCanBeLeftOut) { EXPECT_THAT(MixAdvantages({6.f}, {{2.f}}, {1.0}, 0.0), Near({-1.f})); }

TEST(Whitening, GivesMeanZeroAndDeviationOne) {
  std::vector<std::vector<float>> batch = {{1, 2}, {3, 6}};
  Whiten(absl::MakeSpan(batch));
  double sum = 0, squares = 0;
  for (const auto& row : batch) {
    for (const float value : row) {
      sum += value;
      squares += value * value;
    }
  }
  EXPECT_NEAR(sum, 0, 1e-6);
  EXPECT_NEAR(squares / 4, 1, 1e-6);
}

TEST(Whitening, ABatchWithoutSpreadIsOnlyShifted) {
  std::vector<std::vector<float>> batch = {{3, 3}};
  Whiten(absl::MakeSpan(batch));
  EXPECT_THAT(batch[0], ElementsAre(0, 0));
}

TEST(Wilson, MatchesPublishedValues) {
  const Interval interval = WilsonInterval(8, 10);
  EXPECT_NEAR(interval.low, 0.4902, 1e-3);
  EXPECT_NEAR(interval.high, 0.9433, 1e-3);
}

TEST(Wilson, NoTrialsSayNothing) {
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

}  // namespace
}  // namespace rein::learning
