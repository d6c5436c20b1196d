// Qwen2-VL: a vision tower for pictures of any size, its merger, a Qwen2 decoder with multimodal positions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/decoder_model.h"
#include "models/qwen2_vl/config.h"

namespace rein::models {

class Qwen2VlModel : public DecoderModel {
 public:
  static absl::StatusOr<std::unique_ptr<DecoderModel>> Make(Origin origin);

  // Throws c10::Error when pixels and grid of a picture disagree.
  std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) override;
  int64_t PositionOffset(absl::Span<const ProcessedImage> images) const override;

 protected:
  std::string CanonicalName(absl::string_view name) const override;
  bool IsDerived(absl::string_view canonical_name) const override;
  std::string VisionPartOf(absl::string_view tensor_name) const override;
  std::string RenderConfig(const Json& json, const std::string& dtype) const override;
  at::Tensor Positions(const at::Tensor& ids, absl::Span<const TokenSpan> spans,
                       absl::Span<const ImageFeatures> images) const override;

 private:
  Qwen2VlModel(const Qwen2VlConfig& config, Origin origin);
  void CheckPatches(const ProcessedImage& image) const;

  Qwen2VlConfig config_;
  Qwen2VlVisionTower tower_;
};

}  // namespace rein::models
