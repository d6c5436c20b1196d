#include "models/idefics3/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "base/status.h"
#include "models/idefics3/names.h"
#include "models/llama/config.h"

namespace rein::models {

Idefics3Model::Idefics3Model(const Idefics3Config& config, Origin origin)
    : DecoderModel(config.model_type, config.image_token_id, std::move(origin),
                   config.FrameFeatures(config.vision.side_patches())),
      config_(config),
      tower_(config.vision, parameters()),
      connector_(parameters().AddLinear("model.connector.modality_projection.proj", config.text.hidden,
                                        config.vision.hidden * config.scale_factor * config.scale_factor,
                                        /*bias=*/false, config.text.initializer_range)) {
  AddDecoder(config.text, {.prefix = "model.text_model.", .head = "lm_head.weight"});
}

absl::StatusOr<std::unique_ptr<DecoderModel>> Idefics3Model::Make(Origin origin) {
  REIN_ASSIGN_OR_RETURN(const Idefics3Config config, ParseIdefics3Config(origin.json, origin.where));
  return std::unique_ptr<DecoderModel>(new Idefics3Model(config, std::move(origin)));
}

void Idefics3Model::CheckFrames(const ProcessedImage& image, int64_t side) const {
  const at::Tensor& pixels = image.pixels;
  TORCH_CHECK(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) == side && pixels.size(3) == side,
              "pixels of shape ", pixels.sizes(), "; [frames, 3, ", side, ", ", side,
              "] is needed, as all frames");
  const int64_t patches = side / config_.vision.patch_size;
  TORCH_CHECK(patches > 0 && patches % config_.scale_factor == 0, "frames of ", side, " pixels have ",
              patches, " patches along a side; a multiple of scale_factor, ", config_.scale_factor,
              ", is needed");
}

at::Tensor Idefics3Model::Connect(const at::Tensor& states) const {
  const int64_t frames = states.size(0), width = states.size(2), scale = config_.scale_factor;
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(states.size(1)))) / scale;
  const at::Tensor squares = states.view({frames, side, scale, side, scale * width})
                                 .transpose(2, 3)
                                 .reshape({frames, side * side, scale * scale * width});
  return Apply(connector_, squares);
}

std::vector<ImageFeatures> Idefics3Model::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  std::vector<int64_t> counts;
  for (const ProcessedImage& image : images) {
    CheckFrames(image, images[0].pixels.size(-1));
    counts.push_back(image.pixels.size(0));
  }
  const at::Tensor connected = Connect(tower_.Encode(Numbers(images, device())));
  std::vector<ImageFeatures> features;
  for (const at::Tensor& picture : connected.split_with_sizes(counts)) {
    ImageFeatures& added = features.emplace_back(ImageFeatures{.features = picture.flatten(0, 1)});
    std::copy_n(images[features.size() - 1].grid, 3, added.grid);
  }
  return features;
}

std::string Idefics3Model::CanonicalName(absl::string_view name) const { return CanonicalIdefics3Name(name); }

bool Idefics3Model::IsDerived(absl::string_view canonical_name) const {
  return IsDerivedIdefics3Buffer(canonical_name);
}

std::string Idefics3Model::VisionPartOf(absl::string_view tensor_name) const {
  if (absl::StartsWith(tensor_name, "model.connector.")) return "projector";
  return absl::StartsWith(tensor_name, "model.vision_model.") ? "vision" : "";
}

std::string Idefics3Model::RenderConfig(const Json& json, const std::string& dtype) const {
  return RenderConfigJson(json, config_.text, dtype);
}

}  // namespace rein::models
