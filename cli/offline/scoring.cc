#include "cli/offline/scoring.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "training/rl_trainer.h"

namespace rein::cli {
namespace {

constexpr int64_t kMicroBatchTokens = 4096;

absl::StatusOr<training::Sequence> ToSequence(const models::Processor& processor, const Answered& answered) {
  training::Sequence sequence;
  REIN_ASSIGN_OR_RETURN(sequence.prompt, processor.EncodePrompt(answered.question, answered.images));
  sequence.response = processor.EncodeResponse(answered.answer);
  const std::vector<int32_t>& ends = processor.end_tokens();
  const auto is_end = [&](int32_t token) { return std::find(ends.begin(), ends.end(), token) != ends.end(); };
  if (!answered.stopped && sequence.response.size() > 1 && is_end(sequence.response.back()))
    sequence.response.pop_back();
  for (const models::ProcessedImage& image : answered.images)
    sequence.images.push_back(std::make_shared<models::ProcessedImage>(image));
  return sequence;
}

}  // namespace

absl::StatusOr<std::vector<float>> ScoreAnswers(const ModelFolder& scorer,
                                                const std::vector<Answered>& answers) {
  std::vector<training::Sequence> sequences;
  for (size_t i = 0; i < answers.size(); ++i) {
    REIN_ASSIGN_OR_RETURN(training::Sequence sequence, ToSequence(*scorer.processor, answers[i]));
    sequence.id = absl::StrCat("answer ", i + 1);
    sequences.push_back(std::move(sequence));
  }
  REIN_ASSIGN_OR_RETURN(std::vector<float> scores,
                        training::EndScores(*scorer.model, sequences, kMicroBatchTokens));
  for (const float score : scores) {
    if (!std::isfinite(score)) {
      return absl::DataLossError(absl::StrCat(scorer.model->source().string(), ": a score is ", score,
                                              ", not a finite number; the model is broken"));
    }
  }
  return scores;
}

}  // namespace rein::cli
