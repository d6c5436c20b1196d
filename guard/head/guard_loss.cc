#include "guard/head/guard_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "data/harm_categories.h"

namespace rein::guard {
namespace {

// -1: not one of the 20.
int CategoryIndex(absl::string_view name) {
  const auto all = data::HarmCategories();
  const auto* const found = std::find(all.begin(), all.end(), name);
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

Label LabelOf(int at_least, int at_most, absl::string_view category) {
  Label label{.at_least = at_least, .at_most = at_most};
  if (at_least > 0) label.category = CategoryIndex(category);
  label.categories_known = at_most == 0 || label.category >= 0;
  return label;
}

// 1 or 0 by row and column: float32 [N, columns].
template <typename Entry>
at::Tensor Matrix(const std::vector<Label>& labels, int columns, at::Device device, Entry entry) {
  std::vector<float> values;
  values.reserve(labels.size() * static_cast<size_t>(columns));
  for (const Label& label : labels) {
    for (int column = 0; column < columns; ++column) values.push_back(entry(label, column) ? 1.0f : 0.0f);
  }
  return at::tensor(values, at::kFloat).view({static_cast<int64_t>(labels.size()), columns}).to(device);
}

// Of each logit, without reduction.
at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& targets) {
  return at::binary_cross_entropy_with_logits(logits, targets, {}, {}, at::Reduction::None);
}

}  // namespace

Label QuestionLabel(absl::string_view severity, absl::string_view category) {
  const std::optional<Severity> parsed = ParseSeverity(severity);
  if (!parsed) return {};
  const int level = static_cast<int>(*parsed);
  return LabelOf(level, level, category);
}

Label RatedAnswerLabel(int harmless_rate, absl::string_view category) {
  const int level = std::clamp(-harmless_rate, 0, kLevels - 1);
  return LabelOf(level, level, category);
}

Label LabelledAnswerLabel(bool is_safe, absl::string_view category) {
  return is_safe ? LabelOf(0, 0, category) : LabelOf(1, kLevels - 1, category);
}

at::Tensor OrdinalLoss(const at::Tensor& logits, const std::vector<Label>& labels) {
  const at::Tensor ordinal = logits.narrow(1, 0, kOrdinalLogits);
  const at::Tensor reached = Matrix(labels, kOrdinalLogits, logits.device(),
                                    [](const Label& label, int k) { return k < label.at_least; });
  // Logit k asks about level k + 1 of those at level k: it is known where that level is reached or excluded.
  const at::Tensor asked = Matrix(labels, kOrdinalLogits, logits.device(), [](const Label& label, int k) {
    return k < label.at_least || k == label.at_most;
  });
  return (CrossEntropy(ordinal, reached) * asked).sum(1);
}

at::Tensor CategoryLoss(const at::Tensor& logits, const std::vector<Label>& labels) {
  const at::Tensor categories = logits.narrow(1, kOrdinalLogits, kCategoryLogits);
  const at::Tensor present = Matrix(labels, kCategoryLogits, logits.device(),
                                    [](const Label& label, int k) { return k == label.category; });
  const at::Tensor known =
      Matrix(labels, 1, logits.device(), [](const Label& label, int) { return label.categories_known; });
  return (CrossEntropy(categories, present) * known).sum(1);
}

at::Tensor GuardLoss(const at::Tensor& logits, const std::vector<Label>& labels, double category_weight) {
  return OrdinalLoss(logits, labels) + category_weight * CategoryLoss(logits, labels);
}

}  // namespace rein::guard
