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

// The likeliest first.
std::vector<std::string> CategoriesAbove(const CategoryValues& likelihoods,
                                         const CategoryValues& thresholds) {
  std::vector<size_t> order(likelihoods.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return likelihoods[a] > likelihoods[b]; });
  std::vector<std::string> names;
  for (const size_t category : order) {
    if (likelihoods[category] >= thresholds[category]) names.emplace_back(data::HarmCategories()[category]);
  }
  return names;
}

// A threshold between the two that `upper` reaches and `lower`, which is smaller, does not.
double Between(double lower, double upper) {
  return std::max((lower + upper) / 2, std::nextafter(lower, upper));
}

// The smallest threshold that at most `allowed` of `below` reach; these fall.
double SmallestAllowed(const std::vector<double>& below, size_t allowed) {
  // Just above the first one that may not be flagged; at 1 nothing more can be done.
  return allowed < below.size() ? std::min(1.0, std::nextafter(below[allowed], 2.0)) : 0;
}

// A larger threshold that all of `reached` that reach `smallest` reach as well: halfway from the least of
// them to the next of `below`, which fall.
double WithoutNeedlessAlarms(double smallest, const std::vector<double>& reached,
                             const std::vector<double>& below) {
  double least = 2;
  for (const double p : reached) {
    if (p >= smallest) least = std::min(least, p);
  }
  if (least > 1) return smallest;
  const auto next = std::upper_bound(below.begin(), below.end(), least, std::greater<>());
  const double lower = next == below.end() ? 0 : *next;
  return std::max(smallest, Between(lower, least));
}

ThresholdChoice Choose(const std::vector<RatedItem>& items, int level, double false_positive_rate) {
  const size_t index = static_cast<size_t>(level - 1);
  std::vector<double> below, reached;
  for (const RatedItem& item : items) {
    if (item.at_least >= level) reached.push_back(item.at_or_above[index]);
    if (item.at_most < level) below.push_back(item.at_or_above[index]);
  }
  ThresholdChoice choice{.below = static_cast<int64_t>(below.size()),
                         .at_or_above = static_cast<int64_t>(reached.size())};
  choice.chosen = !below.empty() && !reached.empty();
  std::sort(below.begin(), below.end(), std::greater<>());
  if (choice.chosen) {
    const auto allowed = static_cast<size_t>(false_positive_rate * static_cast<double>(below.size()));
    choice.threshold = WithoutNeedlessAlarms(SmallestAllowed(below, allowed), reached, below);
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

CategoryValues CategoryLikelihoods(absl::Span<const float> logits) {
  CategoryValues values{};
  for (size_t i = 0; i < values.size(); ++i) values[i] = Sigmoid(logits[kOrdinalLogits + i]);
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
    verdict.categories = CategoriesAbove(CategoryLikelihoods(logits), thresholds.category);
  return verdict;
}

std::array<ThresholdChoice, kLevels - 1> ChooseThresholds(const std::vector<RatedItem>& items,
                                                          double false_positive_rate) {
  std::array<ThresholdChoice, kLevels - 1> choices;
  for (int level = 1; level < kLevels; ++level)
    choices[static_cast<size_t>(level - 1)] = Choose(items, level, false_positive_rate);
  return choices;
}

CategoryChoice ChooseCategoryThreshold(std::vector<CategoryItem> items) {
  CategoryChoice choice;
  choice.items = std::count_if(items.begin(), items.end(), [](const CategoryItem& item) { return item.is; });
  choice.chosen = choice.items >= kFewestOfCategory;
  if (!choice.chosen) return choice;
  std::sort(items.begin(), items.end(),
            [](const CategoryItem& a, const CategoryItem& b) { return a.likelihood > b.likelihood; });
  double best = 0, right = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    right += items[i].is ? 1 : 0;
    const double here = items[i].likelihood, next = i + 1 < items.size() ? items[i + 1].likelihood : 0;
    if (here == next) continue;
    const double f1 = 2 * right / static_cast<double>(static_cast<int64_t>(i) + 1 + choice.items);
    if (f1 <= best) continue;
    best = f1;
    choice.threshold = Between(next, here);
  }
  return choice;
}

}  // namespace rein::guard
