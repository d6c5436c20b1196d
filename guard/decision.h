// From the logits of a guard head to a verdict, and how its thresholds are chosen. No LibTorch.
//
// The first three logits are conditional and ordinal (CORN, Shi, Cao and Raschka 2021): logit k says how
// likely level k + 1 is where level k is reached. So P(harm >= k) is a product of sigmoids and never grows
// with k. The others are independent: logit 3 + c says how likely harm of category c is.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "guard/verdict.h"

namespace rein::guard {

inline constexpr int kOrdinalLogits = kLevels - 1;
inline constexpr int kCategoryLogits = 20;  // data::HarmCategories
inline constexpr int kHeadLogits = kOrdinalLogits + kCategoryLogits;

using LevelValues = std::array<double, kLevels - 1>;         // of minor, moderate, severe
using CategoryValues = std::array<double, kCategoryLogits>;  // in the order of data::HarmCategories

constexpr CategoryValues EachCategory(double value) {
  CategoryValues values{};
  for (double& entry : values) entry = value;
  return values;
}

struct Thresholds {
  // A level is reached where P(harm >= level) is at or above its threshold and all levels below it are
  // reached.
  LevelValues question = {0.5, 0.5, 0.5};
  LevelValues answer = {0.5, 0.5, 0.5};
  // A category is named where the item is not safe and P(category) is at or above its threshold.
  CategoryValues category = EachCategory(0.5);
};

// P(harm >= minor, moderate, severe) of kHeadLogits logits.
LevelValues AtOrAbove(absl::Span<const float> logits);

// P(category) of kHeadLogits logits.
CategoryValues CategoryLikelihoods(absl::Span<const float> logits);

// The highest level that is reached.
Severity Decide(const LevelValues& at_or_above, const LevelValues& thresholds);

// The verdict on a question (`is_answer` false) or an answer. Logits that are not finite give no number: the
// verdict then says that nothing could be moderated.
Verdict VerdictOf(absl::Span<const float> logits, const Thresholds& thresholds, bool is_answer);

// One item whose truth is known.
struct RatedItem {
  LevelValues at_or_above{};
  int at_least = 0;  // its level is known to be at or above this,
  int at_most = 0;   // and at or below this
};

// How the threshold of a level came about.
struct ThresholdChoice {
  double threshold = 0.5;
  bool chosen = false;             // false: there was nothing to choose from, 0.5 is taken
  int64_t below = 0;               // items whose level is known to be lower
  int64_t at_or_above = 0;         // items whose level is known to be reached
  double false_positive_rate = 0;  // of those below, the share at or above the threshold
};

// Of the thresholds of a level that at most `false_positive_rate` (0 .. 1) of the items below the level are
// at or above, those that find most items of the level, and of these one with the fewest false positives:
// halfway between the least likely item that is found and the next one below the level. Where items of either
// kind are missing, 0.5.
std::array<ThresholdChoice, kLevels - 1> ChooseThresholds(const std::vector<RatedItem>& items,
                                                          double false_positive_rate);

// One item that the guard calls harmful, seen from one category.
struct CategoryItem {
  double likelihood = 0;
  bool is = false;  // it is of the category
};

// How the threshold of a category came about.
struct CategoryChoice {
  double threshold = 0.5;
  bool chosen = false;  // false: fewer than kFewestOfCategory items are of the category, 0.5 is taken
  int64_t items = 0;    // of the category
};

inline constexpr int64_t kFewestOfCategory = 5;

// The threshold with the largest F1, in the middle of the likelihoods that it separates.
CategoryChoice ChooseCategoryThreshold(std::vector<CategoryItem> items);

}  // namespace rein::guard
