// Answers to many prompts at once, by the engine that rollout actors use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/rollout/engine/engine.h"
#include "cli/offline/model_folder.h"

namespace rein::cli {

struct Prompt {
  std::vector<int32_t> tokens;                 // expanded
  std::vector<models::ProcessedImage> images;  // in the order of their placeholders
  // Names it in errors and keys its random numbers; empty: "prompt 1" and so on.
  std::string id = {};
};

struct GeneratedText {
  std::string text;
  bool stopped = false;  // by an end token, not by the limit
};

// One answer for each prompt, in their order; the same prompts, options and model give the same answers.
// Errors: those of rollout::Engine, naming the prompt.
absl::StatusOr<std::vector<GeneratedText>> GenerateTexts(const ModelFolder& folder,
                                                         std::vector<Prompt> prompts,
                                                         const rollout::SamplingParams& params);

}  // namespace rein::cli
