// A guard: a model folder with a guard head, asked about questions and answers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/image.h"
#include "guard/guardrail.h"
#include "guard/head/guard_config.h"
#include "guard/head/guard_head.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/sequence_forward.h"

namespace rein::guard {

struct GuardModelOptions {
  models::LoadOptions load;
  // Larger pictures are not moderated.
  data::ImageLimits images = {.max_pixels = 40 * 1000 * 1000};
  // Tokens that are computed together, at most; a longer item is computed alone.
  int64_t micro_batch_tokens = 4096;
};

// One thread at a time.
class GuardModel : public Moderator {
 public:
  // Errors, naming folder or file: those of models::LoadModel and Processor::Load, ReadGuardHead (NOT_FOUND:
  // the folder is no guard) and ReadGuardConfig.
  static absl::StatusOr<std::unique_ptr<GuardModel>> Load(const std::filesystem::path& folder,
                                                          const GuardModelOptions& options = {});

  // Reads the head at the last token of the prompt, or of the answer with its end token; items are packed
  // without padding, and verdicts do not depend on how, up to rounding. An item whose picture is broken or
  // over the limits (data::DecodeImage), that has an image placeholder in its answer, or that is longer than
  // the model's positions, is NotModerated with that reason. In memory at a time: the pictures of one pack.
  // Errors: RESOURCE_EXHAUSTED (memory), INTERNAL.
  absl::StatusOr<std::vector<Verdict>> Moderate(absl::Span<const Item> items) override;

  const GuardConfig& config() const { return config_; }
  // See GuardDigest.
  const std::string& digest() const { return digest_; }
  const models::Processor& processor() const { return *processor_; }
  models::VisionLanguageModel& model() const { return *model_; }

 private:
  class Pack;

  explicit GuardModel(const GuardModelOptions& options) : options_(options) {}
  absl::Status LoadFolder(const std::filesystem::path& folder);
  absl::StatusOr<std::vector<Verdict>> ModerateAll(absl::Span<const Item> items);
  // Errors: why the item cannot be moderated.
  absl::StatusOr<training::Sequence> SequenceOf(const Item& item,
                                                const training::Sequence* same_question) const;
  absl::Status LookAtPictures(const Question& question, training::Sequence& sequence) const;
  absl::Status Judge(const Pack& pack, std::vector<Verdict>& verdicts);

  const GuardModelOptions options_;
  std::unique_ptr<models::Processor> processor_;
  std::unique_ptr<models::VisionLanguageModel> model_;
  GuardHead head_;
  GuardConfig config_;
  std::string digest_;
};

}  // namespace rein::guard
