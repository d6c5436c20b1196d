// What every family with a Llama-like decoder shares: loading, pictures among the tokens, packed and cached
// passes, score head. A family adds its vision part, its names and, where they differ, its positions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "models/decoder_input.h"
#include "models/folder.h"
#include "models/json.h"
#include "models/llama/decoder.h"
#include "models/parameters.h"
#include "models/vision_language_model.h"
#include "models/weight_reader.h"

namespace rein::models {

class DecoderModel : public VisionLanguageModel {
 public:
  // What a model is made from.
  struct Origin {
    std::filesystem::path folder;
    std::string where;  // config.json, for messages
    Json json;          // its contents
    SideFiles files;
    LoadOptions options;
  };
  // A family's own step: parses the configuration and builds the model with uninitialised tensors.
  using Maker = absl::StatusOr<std::unique_ptr<DecoderModel>> (*)(Origin origin);

  // Errors: as LoadModel.
  static absl::StatusOr<std::unique_ptr<VisionLanguageModel>> Load(const std::filesystem::path& folder,
                                                                   const LoadOptions& options, Maker make);
  static absl::StatusOr<std::unique_ptr<VisionLanguageModel>> MakeRandom(const std::filesystem::path& folder,
                                                                         uint64_t seed,
                                                                         const LoadOptions& options,
                                                                         Maker make);

  // Tensors of device meta, whatever `options` say.
  static absl::StatusOr<std::unique_ptr<VisionLanguageModel>> Outline(const std::filesystem::path& folder,
                                                                      LoadOptions options, Maker make);

  const ModelShape& shape() const override { return shape_; }
  absl::StatusOr<at::Tensor> Forward(const PackedInput& input) override;
  absl::StatusOr<at::Tensor> ForwardCached(const CachedInput& input, KvCache& cache) override;
  at::Tensor Logits(const at::Tensor& hidden) override { return decoder_->Logits(hidden); }
  at::Tensor Scores(const at::Tensor& hidden) override;
  const NamedTensors& tensors() const override { return parameters_.tensors(); }
  std::vector<LinearLayer> linear_layers() const override { return parameters_.linear_layers(); }
  void CheckpointActivations(bool on) override { decoder_->CheckpointActivations(on); }
  std::string PartOf(const std::string& tensor_name) const override;
  void AddScoreHead(uint64_t seed) override;
  const std::filesystem::path& source() const override { return origin_.folder; }
  absl::StatusOr<SideFiles> side_files() const override;

 protected:
  // `image_run_tokens`: as in ModelShape.
  DecoderModel(std::string family, int64_t image_token_id, Origin origin, int64_t image_run_tokens = 0);

  // To be called once, by the family's constructor, where the decoder's tensors come in the order of files.
  void AddDecoder(const LlamaConfig& config, const DecoderNames& names);
  Parameters& parameters() { return parameters_; }
  at::Device device() const { return origin_.options.device; }

  // The name of a tensor in this model, from any spelling that folders use.
  virtual std::string CanonicalName(absl::string_view name) const = 0;
  // Tensors that folders hold although they follow from the configuration.
  virtual bool IsDerived(absl::string_view canonical_name) const = 0;
  // "vision" or "projector" for the tensors that the family added itself, else "".
  virtual std::string VisionPartOf(absl::string_view tensor_name) const = 0;
  // config.json as a folder that Rein writes holds it, from the one that was read.
  virtual std::string RenderConfig(const Json& json, const std::string& dtype) const = 0;
  // Positions of the tokens as LlamaDecoder takes them. ids: int64 [T] on the CPU, the spans end to end;
  // `images` in the order of their placeholders, which have been checked.
  virtual at::Tensor Positions(const at::Tensor& ids, absl::Span<const TokenSpan> spans,
                               absl::Span<const ImageFeatures> images) const;

 private:
  // Embeddings with pictures in place, [T, hidden], and positions.
  struct Prepared {
    at::Tensor embedded, positions;
  };

  static absl::StatusOr<std::unique_ptr<DecoderModel>> Make(const std::filesystem::path& folder,
                                                            const LoadOptions& options, Maker make);
  absl::Status LoadWeights(const LoadProgressFn& progress);
  // What is kept of `files`: a tensor that is derived or a head that is not used is never read.
  absl::StatusOr<std::vector<WeightRead>> PlanReads(const std::vector<SafetensorsFile>& files);
  void EnsureScoreHead();
  absl::StatusOr<Prepared> Prepare(const at::Tensor& token_ids, const std::vector<TokenSpan>& spans,
                                   const std::vector<ImageFeatures>& images);

  const Origin origin_;
  Parameters parameters_;
  std::optional<LlamaDecoder> decoder_;
  std::string unused_head_;  // of a tied decoder: folders may hold it nevertheless
  at::Tensor score_head_;
  ModelShape shape_;
};

}  // namespace rein::models
