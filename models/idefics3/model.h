// Idefics3 and SmolVLM: pictures in square frames, a SigLIP tower, a connector that joins neighbouring
// patches, a Llama decoder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/decoder_model.h"
#include "models/idefics3/config.h"
#include "models/idefics3/vision_tower.h"

namespace rein::models {

class Idefics3Model : public DecoderModel {
 public:
  static absl::StatusOr<std::unique_ptr<DecoderModel>> Make(Origin origin);

  // Throws c10::Error when the frames are no squares, of several sizes, or of one that the connector cannot
  // take.
  std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) override;

 protected:
  std::string CanonicalName(absl::string_view name) const override;
  bool IsDerived(absl::string_view canonical_name) const override;
  std::string VisionPartOf(absl::string_view tensor_name) const override;
  std::string RenderConfig(const Json& json, const std::string& dtype) const override;

 private:
  Idefics3Model(const Idefics3Config& config, Origin origin);
  void CheckFrames(const ProcessedImage& image, int64_t side) const;
  // states: [B, patches, vision hidden] -> [B, patches / scale_factor^2, hidden].
  at::Tensor Connect(const at::Tensor& states) const;

  Idefics3Config config_;
  Idefics3VisionTower tower_;
  Linear connector_;
};

}  // namespace rein::models
