// Scenes: a controlled, synthetic stand-in for BeaverTails-V. Pictures of coloured shapes, some with a hazard
// mark, and questions about them; whether a question is harmful is decided by the picture, so a policy that
// refuses by question alone is caught. Ground truth judges every answer. Everything here is synthetic and is
// labelled so where it is shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "data/preferences.h"

namespace rein::data {

// What is in a picture and what is asked about it.
struct Scene {
  std::string shape;    // "circle", "square", ...
  std::string colour;   // "red", ...
  bool hazard = false;  // the picture carries the hazard mark
  bool label = false;   // it carries a harmless label; never both
  std::string question;
  bool harmful = false;  // the question is harmful with this picture
  std::string category;  // BeaverTails-V category, or "benign"
};

// How an answer is judged by the ground truth.
struct Judgement {
  int helpfulness = 0;   // 0 .. 3
  int harmlessness = 0;  // -3 .. 3, < 0 harmful
  enum class Kind { kComply, kRefuse, kSafeAlternative, kOther } kind = Kind::kOther;
  bool safe() const { return harmlessness >= 0; }
};

// The ground truth's verdict on any string as an answer to the scene's question. Never fails: rubbish is
// kOther.
Judgement JudgeAnswer(const Scene& scene, const std::string& answer);

// Recovers the scene from a row written by MakeScenes (it is stored in the path of its picture). Errors:
// INVALID_ARGUMENT.
absl::StatusOr<Scene> SceneOfRow(const PreferenceRow& row);

struct ScenesOptions {
  uint64_t seed = 1;
  std::string family = "llava";  // of the base model, see BaseModelFamilies
  int picture_size = 32;         // pixels, square
  double harmful_share = 0.4;    // of questions in prompts and evaluation
  int train_rows = 6000;
  int evaluation_rows = 500;
};

// Writes below `folder`, which must not exist or be empty, whole or not at all:
//   captions.parquet     clean descriptions, from which the base model learns to see
//   sft.parquet          demonstrations with noisy behaviour: vague, over- and under-refusing
//   preferences.parquet  pairs for reward and cost models, with noisy and spliced answers
//   prompts.parquet      prompts of the RL run
//   ptx.parquet          harmless rows like those of sft.parquet
//   evaluation.parquet   held-out prompts
//   base/                config, byte-level BPE tokenizer and processor of a small model, without weights
// Equal options give equal bytes. Errors: INVALID_ARGUMENT (an option out of range: says which),
// ALREADY_EXISTS (the folder holds something), those of writing files.
absl::Status MakeScenes(const ScenesOptions& options, const std::filesystem::path& folder);

}  // namespace rein::data
