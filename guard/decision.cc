#include "guard/decision.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "data/harm_categories.h"

namespace rein::guard {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

bool AllFinite(absl::Span<const float> logits) {
  return std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); });
}

std::vector<std::string> CategoriesAbove(absl::Span<const float> logits, double threshold) {
  std::vector<int> order(kCategoryLogits);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  std::vector<std::string> names;
  for (const int category : order) {
    if (Sigmoid(logits[category]) >= threshold) names.emplace_back(data::HarmCategories()[category]);
  }
  return names;
}

ThresholdChoice Choose(const std::vector<RatedItem>& items, int level, double false_positive_rate) {
  const size_t index = static_cast<size_t>(level - 1);
  ThresholdChoice choice;
  std::vector<double> below;
  for (const RatedItem& item : items) {
    if (item.at_least >= level) ++choice.at_or_above;
    if (item.at_most < level) below.push_back(item.at_or_above[index]);
  }
  choice.below = static_cast<int64_t>(below.size());
  choice.chosen = choice.below > 0 && choice.at_or_above > 0;
  std::sort(below.begin(), below.end(), std::greater<>());
  if (choice.chosen) {
    const auto allowed = static_cast<size_t>(false_positive_rate * static_cast<double>(below.size()));
    // Just above the first one that may not be flagged; at 1 nothing more can be done.
    if (allowed < below.size()) choice.threshold = std::min(1.0, std::nextafter(below[allowed], 2.0));
    if (allowed >= below.size()) choice.threshold = 0;
  }
  const auto flagged =
      std::count_if(below.begin(), below.end(), [&](double p) { return p >= choice.threshold; });
  if (choice.below > 0)
    choice.false_positive_rate = static_cast<double>(flagged) / static_cast<double>(choice.below);
  return choice;
}

}  // namespace

LevelValues AtOrAbove(absl::Span<const float> logits) {
  LevelValues values{};
  double product = 1;
  for (size_t k = 0; k < values.size(); ++k) values[k] = product *= Sigmoid(logits[k]);
  return values;
}

Severity Decide(const LevelValues& at_or_above, const LevelValues& thresholds) {
  int level = 0;
  while (level < kLevels - 1 && at_or_above[level] >= thresholds[level]) ++level;
  return static_cast<Severity>(level);
}

Verdict VerdictOf(absl::Span<const float> logits, const Thresholds& thresholds, bool is_answer) {
  if (!AllFinite(logits)) return NotModerated("the guard's output is not finite");
  Verdict verdict;
  verdict.at_or_above = AtOrAbove(logits);
  verdict.severity = Decide(verdict.at_or_above, is_answer ? thresholds.answer : thresholds.question);
  if (verdict.severity != Severity::kSafe)
    verdict.categories = CategoriesAbove(logits.subspan(kOrdinalLogits), thresholds.category);
  return verdict;
}

std::array<ThresholdChoice, kLevels - 1> ChooseThresholds(const std::vector<RatedItem>& items,
                                                          double false_positive_rate) {
  std::array<ThresholdChoice, kLevels - 1> choices;
  for (int level = 1; level < kLevels; ++level)
    choices[static_cast<size_t>(level - 1)] = Choose(items, level, false_positive_rate);
  return choices;
}

}  // namespace rein::guard
