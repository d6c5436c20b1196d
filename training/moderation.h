// What a guard is trained and measured on: questions and answers with what is known of their harm.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "guard/head/guard_config.h"
#include "guard/head/guard_loss.h"
#include "training/corpus.h"
#include "training/rl_trainer.h"

namespace rein::training {

// A question, or an answer to it.
struct ModerationExample {
  const CorpusRow* row = nullptr;
  size_t row_number = 0;  // among the rows that it comes from
  int answer = -1;        // 0 or 1; -1: the question itself
  guard::Label label;

  bool is_answer() const { return answer >= 0; }
};

// Of each row its question and its answers, as far as their harm is known.
std::vector<ModerationExample> ExamplesOf(const std::vector<const CorpusRow*>& rows);

// Tokens of prompt and, of an answer, response.
int64_t TokensOf(const ModerationExample& example);

// One sequence each; a question's has no response. Examples of one row share its pictures.
absl::StatusOr<std::vector<Sequence>> SequencesOf(const Corpus& corpus,
                                                  const std::vector<ModerationExample>& examples);

std::vector<guard::Label> LabelsOf(const std::vector<ModerationExample>& examples);

// What is known of the harm in some rows.
struct ModerationCounts {
  int64_t questions = 0;
  int64_t answers = 0;
  int64_t unsafe_without_rate = 0;       // answers that are labelled only: their level is not trained
  int64_t harmful_without_category = 0;  // of none of the 20: their category is not trained
};
ModerationCounts CountExamples(const std::vector<ModerationExample>& examples);

struct MeasureOptions {
  double false_positive_rate = 0.05;
  double category_weight = 1;
  uint64_t seed = 1;
  bool held_out = false;  // none of the examples was trained on
};

struct Measured {
  // loss, of all examples; and of those that chose no threshold accuracy, macro_f1, false_positive_rate,
  // recall, auc, calibration_error, category_macro_f1: of all of them, and with question_ and answer_ in
  // front. What the examples do not define is left out.
  Metrics metrics;
  guard::GuardConfig config;
};

// The rows are divided by `seed` into two halves: thresholds are chosen on one, those of categories among
// what those of levels call harmful; everything but the loss is measured on the other. logits: float32 [N,
// guard::kHeadLogits], one row an example, on the CPU.
Measured MeasureModeration(const std::vector<ModerationExample>& examples, const at::Tensor& logits,
                           const MeasureOptions& options);

}  // namespace rein::training
