// LLaVA-1.5: CLIP vision tower, two-layer projector, Llama decoder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/decoder_model.h"
#include "models/llava/config.h"
#include "models/llava/vision.h"

namespace rein::models {

class LlavaModel : public DecoderModel {
 public:
  static absl::StatusOr<std::unique_ptr<DecoderModel>> Make(Origin origin);

  std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) override;

 protected:
  std::string CanonicalName(absl::string_view name) const override;
  bool IsDerived(absl::string_view canonical_name) const override;
  std::string VisionPartOf(absl::string_view tensor_name) const override;
  std::string RenderConfig(const Json& json, const std::string& dtype) const override;

 private:
  LlavaModel(const LlavaConfig& config, Origin origin);

  LlavaConfig config_;
  LlavaVision vision_;
};

}  // namespace rein::models
