// LLaVA-1.5: CLIP vision tower, two-layer projector, Llama decoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/folder.h"
#include "models/llava/config.h"
#include "models/vision_language_model.h"

namespace rein::models {

class LlavaModel : public VisionLanguageModel {
 public:
  static absl::StatusOr<std::unique_ptr<VisionLanguageModel>> Load(const std::filesystem::path& folder,
                                                                   const LoadOptions& options);
  static absl::StatusOr<std::unique_ptr<VisionLanguageModel>> MakeRandom(const std::filesystem::path& folder,
                                                                         uint64_t seed,
                                                                         const LoadOptions& options);

  const ModelShape& shape() const override { return shape_; }
  std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) override;
  absl::StatusOr<at::Tensor> Forward(const PackedInput& input) override;
  absl::StatusOr<at::Tensor> ForwardCached(const CachedInput& input, KvCache& cache) override;
  at::Tensor Logits(const at::Tensor& hidden) override { return decoder_.Logits(hidden); }
  at::Tensor Scores(const at::Tensor& hidden) override;
  const NamedTensors& tensors() const override { return parameters_.tensors(); }
  std::string PartOf(const std::string& tensor_name) const override;
  void AddScoreHead(uint64_t seed) override;
  const std::filesystem::path& source() const override { return source_; }
  absl::StatusOr<SideFiles> side_files() const override;

 private:
  LlavaModel(const LlavaConfig& config, Json json, SideFiles files, std::filesystem::path source,
             const LoadOptions& options);
  static absl::StatusOr<std::unique_ptr<LlavaModel>> Prepare(const std::filesystem::path& folder,
                                                             const LoadOptions& options);
  absl::Status LoadWeights();
  void EnsureScoreHead();
  // [T, hidden], with the features in place of the placeholders.
  absl::StatusOr<at::Tensor> EmbedWithImages(const at::Tensor& token_ids,
                                             const std::vector<ImageFeatures>& images);

  LlavaConfig config_;
  Json json_;
  SideFiles files_;
  std::filesystem::path source_;
  LoadOptions options_;
  Parameters parameters_;
  ClipVisionTower tower_;
  Linear linear1_, linear2_;
  LlamaDecoder decoder_;
  at::Tensor score_head_;
  ModelShape shape_;
};

}  // namespace rein::models
