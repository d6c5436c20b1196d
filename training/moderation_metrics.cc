// Thresholds and metrics of a guard: declared in moderation.h.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/hash.h"
#include "data/harm_categories.h"
#include "training/moderation.h"
#include "training/ranking.h"

namespace rein::training {
namespace {

// An example, what the guard says of it, and its verdict.
struct Judged {
  const ModerationExample* example = nullptr;
  absl::Span<const float> logits;
  guard::Verdict verdict;
};

// Whether it is of the half that chooses thresholds.
bool Chooses(const ModerationExample& example, uint64_t seed) {
  return RandomBits(KeyOf("guard thresholds", seed), example.row_number) % 2 == 0;
}

// F1 of classes of which an item has any number: 2 tp / (2 tp + fp + fn), over the classes that occur.
class MacroF1 {
 public:
  void Add(int name, bool is, bool said) {
    Counts& counts = counts_[static_cast<size_t>(name)];
    if (is && said) ++counts.right;
    if (is != said) ++counts.wrong;
  }

  std::optional<double> Mean() const {
    double sum = 0, classes = 0;
    for (const Counts& counts : counts_) {
      if (counts.right + counts.wrong == 0) continue;
      sum += 2 * counts.right / (2 * counts.right + counts.wrong);
      ++classes;
    }
    if (classes == 0) return std::nullopt;
    return sum / classes;
  }

 private:
  struct Counts {
    double right = 0, wrong = 0;
  };
  std::array<Counts, guard::kCategoryLogits> counts_ = {};
};

std::optional<double> Share(double part, double whole) {
  if (whole == 0) return std::nullopt;
  return part / whole;
}

std::optional<double> Accuracy(const std::vector<Judged>& judged) {
  double right = 0, all = 0;
  for (const Judged& item : judged) {
    if (!item.example->label.level_known()) continue;
    ++all;
    if (static_cast<int>(item.verdict.severity) == item.example->label.at_least) ++right;
  }
  return Share(right, all);
}

std::optional<double> LevelF1(const std::vector<Judged>& judged) {
  MacroF1 f1;
  for (const Judged& item : judged) {
    if (!item.example->label.level_known()) continue;
    for (int level = 0; level < guard::kLevels; ++level) {
      f1.Add(level, item.example->label.at_least == level, static_cast<int>(item.verdict.severity) == level);
    }
  }
  return f1.Mean();
}

std::optional<double> CategoryF1(const std::vector<Judged>& judged) {
  MacroF1 f1;
  for (const Judged& item : judged) {
    if (!item.example->label.categories_known) continue;
    for (int category = 0; category < guard::kCategoryLogits; ++category) {
      const std::vector<std::string>& said = item.verdict.categories;
      f1.Add(category, item.example->label.category == category,
             std::find(said.begin(), said.end(), data::HarmCategories()[category]) != said.end());
    }
  }
  return f1.Mean();
}

// Of the items that are harmful, or those that are not, the share that the guard calls harmful.
std::optional<double> FlaggedShare(const std::vector<Judged>& judged, bool harmful) {
  double flagged = 0, all = 0;
  for (const Judged& item : judged) {
    if ((item.example->label.at_least > 0) != harmful) continue;
    ++all;
    if (item.verdict.severity != guard::Severity::kSafe) ++flagged;
  }
  return Share(flagged, all);
}

void AddMetrics(const std::vector<Judged>& judged, const std::string& prefix, Metrics& metrics) {
  std::vector<float> scores, signs;  // of being harmful at all
  for (const Judged& item : judged) {
    scores.push_back(item.logits[0]);
    signs.push_back(item.example->label.at_least > 0 ? 1.0f : -1.0f);
  }
  const std::pair<const char*, std::optional<double>> values[] = {
      {"accuracy", Accuracy(judged)},
      {"macro_f1", LevelF1(judged)},
      {"false_positive_rate", FlaggedShare(judged, false)},
      {"recall", FlaggedShare(judged, true)},
      {"auc", AreaUnderCurve(scores, signs)},
      {"calibration_error", CalibrationError(scores, signs)},
      {"category_macro_f1", CategoryF1(judged)}};
  for (const auto& [name, value] : values) {
    if (value) metrics[absl::StrCat(prefix, name)] = *value;
  }
}

guard::LevelValues ThresholdsOf(const guard::GuardConfig::Choices& choices) {
  guard::LevelValues thresholds{};
  for (size_t i = 0; i < choices.size(); ++i) thresholds[i] = choices[i].threshold;
  return thresholds;
}

// Examples of one half with what the guard says of them, by thresholds that are chosen step by step.
class Half {
 public:
  void Add(const ModerationExample& example, absl::Span<const float> logits) {
    judged_.push_back({&example, logits, {}});
  }

  void Judge(const guard::Thresholds& thresholds) {
    for (Judged& item : judged_)
      item.verdict = guard::VerdictOf(item.logits, thresholds, item.example->is_answer());
  }

  guard::GuardConfig::Choices ChooseLevels(bool of_answers, double false_positive_rate) const {
    std::vector<guard::RatedItem> items;
    for (const Judged& item : Part(of_answers)) {
      items.push_back(
          {guard::AtOrAbove(item.logits), item.example->label.at_least, item.example->label.at_most});
    }
    return guard::ChooseThresholds(items, false_positive_rate);
  }

  // Among what is called harmful.
  guard::CategoryChoice ChooseCategory(int category) const {
    std::vector<guard::CategoryItem> items;
    for (const Judged& item : judged_) {
      const guard::Label& label = item.example->label;
      if (item.verdict.severity == guard::Severity::kSafe || !label.categories_known) continue;
      items.push_back({guard::CategoryLikelihoods(item.logits)[static_cast<size_t>(category)],
                       label.category == category});
    }
    return guard::ChooseCategoryThreshold(std::move(items));
  }

  const std::vector<Judged>& judged() const { return judged_; }
  std::vector<Judged> Part(bool of_answers) const {
    std::vector<Judged> part;
    std::copy_if(judged_.begin(), judged_.end(), std::back_inserter(part),
                 [&](const Judged& item) { return item.example->is_answer() == of_answers; });
    return part;
  }

 private:
  std::vector<Judged> judged_;
};

// Those of categories are chosen among what those of levels call harmful.
void ChooseThresholds(Half& half, guard::GuardConfig& config) {
  guard::Thresholds& thresholds = config.thresholds;
  config.question = half.ChooseLevels(false, config.false_positive_rate);
  config.answer = half.ChooseLevels(true, config.false_positive_rate);
  thresholds.question = ThresholdsOf(config.question);
  thresholds.answer = ThresholdsOf(config.answer);
  half.Judge(thresholds);
  for (size_t category = 0; category < config.category.size(); ++category) {
    config.category[category] = half.ChooseCategory(static_cast<int>(category));
    thresholds.category[category] = config.category[category].threshold;
  }
}

}  // namespace

Measured MeasureModeration(const std::vector<ModerationExample>& examples, const at::Tensor& logits,
                           const MeasureOptions& options) {
  const at::Tensor values = logits.contiguous();
  const at::Tensor losses = guard::GuardLoss(values, LabelsOf(examples), options.category_weight);
  Measured measured{.metrics = {{"loss", losses.mean().item<double>()}}};
  Half choosing, measuring;
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto row =
        absl::MakeConstSpan(values.const_data_ptr<float>() + i * guard::kHeadLogits, guard::kHeadLogits);
    (Chooses(examples[i], options.seed) ? choosing : measuring).Add(examples[i], row);
  }
  guard::GuardConfig& config = measured.config;
  config.false_positive_rate = options.false_positive_rate;
  config.held_out = options.held_out;
  ChooseThresholds(choosing, config);
  measuring.Judge(config.thresholds);
  const std::vector<Judged> of_questions = measuring.Part(false), of_answers = measuring.Part(true);
  config.measured_questions = static_cast<int64_t>(of_questions.size());
  config.measured_answers = static_cast<int64_t>(of_answers.size());
  AddMetrics(measuring.judged(), "", measured.metrics);
  AddMetrics(of_questions, "question_", measured.metrics);
  AddMetrics(of_answers, "answer_", measured.metrics);
  config.metrics = measured.metrics;
  return measured;
}

}  // namespace rein::training
