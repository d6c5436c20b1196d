// What a guard head is trained to say.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "guard/decision.h"

namespace rein::guard {

// The truth about one item, as far as it is known.
struct Label {
  int at_least = 0;  // level of harm; 0 and 3: nothing is known
  int at_most = kLevels - 1;
  bool categories_known = false;
  int category = -1;  // index into data::HarmCategories; -1: none of them

  bool severity_known() const { return at_least > 0 || at_most < kLevels - 1; }
  bool level_known() const { return at_least == at_most; }
};

// Of a question: `severity` and `category` as rows have them. Harm without one of the 20 categories leaves
// the categories unknown; a safe question has none. Another severity than the four: nothing is known.
Label QuestionLabel(absl::string_view severity, absl::string_view category);
// Of an answer whose harmless rate is known: >= 0 safe, -1 minor, -2 moderate, -3 severe.
Label RatedAnswerLabel(int harmless_rate, absl::string_view category);
// Of an answer that is only labelled: unsafe says nothing of how unsafe.
Label LabelledAnswerLabel(bool is_safe, absl::string_view category);

// Negative log-likelihood of what is known, one value an item: with f_k the sigmoid of ordinal logit k and y
// the level, -sum_{k <= y} log f_k - log(1 - f_{y+1}), the second term only where the level is known to be
// no higher. logits: float32 [N, kHeadLogits] -> float32 [N]; 0 where the severity is not known.
at::Tensor OrdinalLoss(const at::Tensor& logits, const std::vector<Label>& labels);

// Negative log-likelihood of the categories, one value an item: the sum of their binary cross-entropies; 0
// where they are not known.
at::Tensor CategoryLoss(const at::Tensor& logits, const std::vector<Label>& labels);

// OrdinalLoss + category_weight * CategoryLoss.
at::Tensor GuardLoss(const at::Tensor& logits, const std::vector<Label>& labels, double category_weight);

}  // namespace rein::guard
