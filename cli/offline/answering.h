// Answers of a model to questions about pictures, scored where scorers are given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/offline/generation.h"
#include "data/row.h"

namespace rein::cli {

struct Scorers {
  std::optional<ModelFolder> reward, cost;
};

// Empty paths: no such scorer. Errors: those of LoadModelFolder; FAILED_PRECONDITION (no score head).
absl::StatusOr<Scorers> LoadScorers(const std::filesystem::path& reward, const std::filesystem::path& cost,
                                    const std::string& dtype = "float32");

// The longest answer where nothing else is asked for: 512 tokens, or half of what the model takes where that
// is less.
int64_t UsualAnswerTokens(const models::VisionLanguageModel& model);

struct AskedQuestion {
  std::string id;  // keys the random numbers of its answer
  std::string text;
  std::vector<data::Picture> pictures;
};

struct Problem {
  std::string reason;  // the same for all of its kind, to be counted by
  std::string detail;  // of this one
};

// Of an answer that a scorer ("reward" or "cost") cannot take.
std::string UnscoredReason(absl::string_view kind);

struct ModelAnswer {
  std::optional<GeneratedText> text;   // absent: the question cannot be answered
  std::optional<double> reward, cost;  // absent: no such scorer, or it cannot take the answer
  std::vector<Problem> problems;       // why something is absent
};

// One each, in their order. Problems: pictures that cannot be decoded or are over the limits, prompts that
// leave no room for params.max_response_tokens, answers that are too long for a scorer. An answer depends on
// its own question, up to rounding, and its scores on nothing else at all. Errors: those of rollout::Engine
// and ScoreAnswers that are not about one question.
absl::StatusOr<std::vector<ModelAnswer>> AnswerQuestions(const ModelFolder& model, const Scorers& scorers,
                                                         const std::vector<AskedQuestion>& questions,
                                                         const rollout::SamplingParams& params);

}  // namespace rein::cli
