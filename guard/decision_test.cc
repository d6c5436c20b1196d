#include "guard/decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rein::guard {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<float> Logits(std::vector<float> ordinal) {
  ordinal.resize(kHeadLogits, -10.0f);
  return ordinal;
}

RatedItem Rated(double p, int level) { return {{p, p / 2, p / 4}, level, level}; }

TEST(AtOrAbove, IsAProductThatNeverGrows) {
  // Sigmoids of log 3, 0 and -log 3: 3/4, 1/2, 1/4.
  const float three = std::log(3.0f);
  EXPECT_THAT(AtOrAbove(Logits({three, 0, -three})),
              ElementsAre(DoubleNear(0.75, 1e-6), DoubleNear(0.375, 1e-6), DoubleNear(0.09375, 1e-6)));
  const LevelValues values = AtOrAbove(Logits({-5, 90, 90}));
  EXPECT_LE(values[1], values[0]);
  EXPECT_LE(values[2], values[1]);
}

TEST(Decide, ReachesALevelThroughThoseBelowIt) {
  const LevelValues thresholds = {0.5, 0.4, 0.3};
  EXPECT_EQ(Decide({0.49, 0.45, 0.4}, thresholds), Severity::kSafe);
  EXPECT_EQ(Decide({0.5, 0.39, 0.39}, thresholds), Severity::kMinor);
  EXPECT_EQ(Decide({0.9, 0.4, 0.2}, thresholds), Severity::kModerate);
  EXPECT_EQ(Decide({0.9, 0.9, 0.3}, thresholds), Severity::kSevere);
}

TEST(VerdictOf, NamesCategoriesOfWhatIsHarmfulOnlyTheLikeliestFirst) {
  std::vector<float> logits = Logits({5, 5, -5});
  logits[kOrdinalLogits + 0] = 1;
  logits[kOrdinalLogits + 19] = 2;
  const Verdict verdict = VerdictOf(logits, {}, false);
  EXPECT_EQ(verdict.severity, Severity::kModerate);
  EXPECT_THAT(verdict.categories, ElementsAre("violence_and_physical_harm", "animal_abuse"));
  logits[0] = -5;
  EXPECT_THAT(VerdictOf(logits, {}, false).categories, IsEmpty());
}

TEST(VerdictOf, HasAThresholdForEachCategory) {
  std::vector<float> logits = Logits({5, 5, 5});
  logits[kOrdinalLogits + 0] = 1;
  logits[kOrdinalLogits + 19] = -1;
  Thresholds thresholds;
  thresholds.category[0] = 0.8;
  thresholds.category[19] = 0.2;
  EXPECT_THAT(VerdictOf(logits, thresholds, false).categories, ElementsAre("violence_and_physical_harm"));
}

TEST(VerdictOf, HasThresholdsForQuestionsAndForAnswers) {
  const Thresholds thresholds{.question = {0.9, 0.9, 0.9}, .answer = {0.1, 0.9, 0.9}};
  const std::vector<float> logits = Logits({0, 0, 0});
  EXPECT_EQ(VerdictOf(logits, thresholds, false).severity, Severity::kSafe);
  EXPECT_EQ(VerdictOf(logits, thresholds, true).severity, Severity::kMinor);
}

TEST(VerdictOf, DoesNotJudgeByWhatIsNotFinite) {
  std::vector<float> logits = Logits({-5, -5, -5});
  logits[7] = std::numeric_limits<float>::quiet_NaN();
  const Verdict verdict = VerdictOf(logits, {}, true);
  EXPECT_EQ(verdict.severity, Severity::kSevere);
  EXPECT_THAT(verdict.not_moderated, HasSubstr("not finite"));
}

TEST(ChooseThresholds, FlagsFewEnoughOfWhatIsBelow) {
  std::vector<RatedItem> items;
  for (int i = 1; i <= 10; ++i) items.push_back(Rated(0.01 * i, 0));  // 0.01 .. 0.10
  items.push_back(Rated(0.05, 1));                                    // out of reach
  const ThresholdChoice tenth = ChooseThresholds(items, 0.1)[0];
  EXPECT_TRUE(tenth.chosen);
  EXPECT_EQ(tenth.below, 10);
  EXPECT_EQ(tenth.at_or_above, 1);
  EXPECT_DOUBLE_EQ(tenth.false_positive_rate, 0.1);
  EXPECT_EQ(tenth.threshold, std::nextafter(0.09, 1.0));
  const ThresholdChoice none = ChooseThresholds(items, 0.05)[0];
  EXPECT_EQ(none.threshold, std::nextafter(0.10, 1.0));
  EXPECT_EQ(none.false_positive_rate, 0);
}

TEST(ChooseThresholds, RaisesNoAlarmThatFindsNothingMore) {
  std::vector<RatedItem> items;
  for (int i = 1; i <= 10; ++i) items.push_back(Rated(0.01 * i, 0));  // 0.01 .. 0.10
  items.push_back(Rated(0.5, 1));
  items.push_back(Rated(0.9, 1));
  const ThresholdChoice separated = ChooseThresholds(items, 0.5)[0];
  EXPECT_DOUBLE_EQ(separated.threshold, 0.3);
  EXPECT_EQ(separated.false_positive_rate, 0);
  items.push_back(Rated(0.084, 1));
  items.push_back(Rated(0.02, 1));  // three quarters would be false alarms
  const ThresholdChoice mixed = ChooseThresholds(items, 0.5)[0];
  EXPECT_DOUBLE_EQ(mixed.threshold, 0.082);
  EXPECT_DOUBLE_EQ(mixed.false_positive_rate, 0.2);
}

TEST(ChooseThresholds, FlagsAllOfATieOrNone) {
  const std::vector<RatedItem> items = {Rated(0.2, 0), Rated(0.2, 0), Rated(0.2, 0), Rated(0.1, 0),
                                        Rated(0.9, 3)};
  const ThresholdChoice choice = ChooseThresholds(items, 0.5)[0];
  EXPECT_GT(choice.threshold, 0.2);
  EXPECT_EQ(choice.false_positive_rate, 0);
}

TEST(ChooseThresholds, CountsForEachLevelWhatIsKnownToBeBelow) {
  // Unsafe, and no more is known: at or above minor, below nothing.
  const std::vector<RatedItem> items = {Rated(0.1, 0), Rated(0.4, 1), {{0.9, 0.9, 0.9}, 1, 3}, Rated(0.8, 2)};
  const auto choices = ChooseThresholds(items, 0.0);
  EXPECT_EQ(choices[0].below, 1);
  EXPECT_EQ(choices[0].at_or_above, 3);
  EXPECT_EQ(choices[1].below, 2);
  EXPECT_EQ(choices[1].at_or_above, 1);
  EXPECT_DOUBLE_EQ(choices[1].threshold, 0.3);  // between 0.4 / 2 and 0.8 / 2
  EXPECT_EQ(choices[2].below, 3);
  EXPECT_EQ(choices[2].at_or_above, 0);
  EXPECT_FALSE(choices[2].chosen);
  EXPECT_EQ(choices[2].threshold, 0.5);
}

TEST(ChooseThresholds, TakesAHalfWhereThereIsNothingToChooseFrom) {
  for (const ThresholdChoice& choice : ChooseThresholds({}, 0.05)) {
    EXPECT_FALSE(choice.chosen);
    EXPECT_EQ(choice.threshold, 0.5);
    EXPECT_EQ(choice.false_positive_rate, 0);
  }
}

// Likelihoods of items of the category and of others.
std::vector<CategoryItem> Items(std::vector<double> of, std::vector<double> others) {
  std::vector<CategoryItem> items;
  for (const double likelihood : of) items.push_back({likelihood, true});
  for (const double likelihood : others) items.push_back({likelihood, false});
  return items;
}

TEST(ChooseCategoryThreshold, SeparatesInTheMiddle) {
  const CategoryChoice choice =
      ChooseCategoryThreshold(Items({0.3, 0.35, 0.4, 0.45, 0.5}, {0.05, 0.1, 0.2, 0.2}));
  EXPECT_TRUE(choice.chosen);
  EXPECT_EQ(choice.items, 5);
  EXPECT_DOUBLE_EQ(choice.threshold, 0.25);
}

TEST(ChooseCategoryThreshold, WeighsWhatItMissesAgainstWhatItFlags) {
  // All five: F1 10 / (12 + 5); the first four: 8 / (5 + 5); one false and four of five.
  const CategoryChoice choice =
      ChooseCategoryThreshold(Items({0.9, 0.8, 0.8, 0.7, 0.1}, {0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15}));
  EXPECT_DOUBLE_EQ(choice.threshold, 0.65);
}

TEST(ChooseCategoryThreshold, FlagsAllOfATieOrNone) {
  const CategoryChoice choice = ChooseCategoryThreshold(Items({0.4, 0.4, 0.4, 0.4, 0.9}, {0.4, 0.4, 0.1}));
  EXPECT_DOUBLE_EQ(choice.threshold, 0.25);
}

TEST(ChooseCategoryThreshold, TakesAHalfWhereTooFewAreOfTheCategory) {
  const CategoryChoice choice = ChooseCategoryThreshold(Items({0.3, 0.3, 0.3, 0.3}, {0.1}));
  EXPECT_FALSE(choice.chosen);
  EXPECT_EQ(choice.items, 4);
  EXPECT_EQ(choice.threshold, 0.5);
  EXPECT_EQ(ChooseCategoryThreshold({}).threshold, 0.5);
}

TEST(ChooseThresholds, StaysAtOneWhereTheSureOnesAreWrong) {
  const auto choice = ChooseThresholds({{{1, 1, 1}, 0, 0}, {{1, 1, 1}, 3, 3}}, 0.0)[0];
  EXPECT_EQ(choice.threshold, 1);
  EXPECT_EQ(choice.false_positive_rate, 1);
}

}  // namespace
}  // namespace rein::guard
