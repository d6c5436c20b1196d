// LLaVA-NeXT (LLaVA-1.6): LLaVA-1.5 whose pictures are seen whole and in tiles.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/decoder_model.h"
#include "models/llava/vision.h"
#include "models/llava_next/config.h"

namespace rein::models {

class LlavaNextModel : public DecoderModel {
 public:
  static absl::StatusOr<std::unique_ptr<DecoderModel>> Make(Origin origin);

  // The grid of a picture is {height, width, 0} in pixels, before it was cut. Throws c10::Error when pixels
  // and grid of a picture disagree.
  std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) override;

 protected:
  std::string CanonicalName(absl::string_view name) const override;
  bool IsDerived(absl::string_view canonical_name) const override;
  std::string VisionPartOf(absl::string_view tensor_name) const override;
  std::string RenderConfig(const Json& json, const std::string& dtype) const override;

 private:
  LlavaNextModel(LlavaNextConfig config, Origin origin);
  void CheckTiles(const ProcessedImage& image) const;
  // tiles: [1 + tiles, features of a tile, hidden], the whole picture first -> [feature_count, hidden]: the
  // features of the whole picture, then those of the tiles row by row without padding, a newline after each
  // row.
  at::Tensor Join(const at::Tensor& tiles, Resolution original) const;

  LlavaNextConfig config_;
  at::Tensor newline_;  // [hidden]
  LlavaVision vision_;
};

}  // namespace rein::models
