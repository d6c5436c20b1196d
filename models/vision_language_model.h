// The interface of all model families.
//
// Life of a model: 1. LoadModel (or MakeRandomModel). 2. EncodeImages once per picture and vision tower. 3.
// Forward on packed sequences (training, scoring) or ForwardCached with a KV cache (generation). 4. Logits or
// Scores of chosen positions.
// 5. SaveModel. One thread at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/kv_cache.h"
#include "models/processed_image.h"

namespace rein::models {

// A picture as the language model takes it.
struct ImageFeatures {
  at::Tensor features;  // [feature_count, hidden]
  int64_t grid[3] = {0, 0, 0};
};

// Sequences end to end, without padding.
struct PackedInput {
  at::Tensor token_ids;             // int64 [T]
  std::vector<int64_t> cu_seqlens;  // B + 1 offsets, from 0 to T
  // One for every run of placeholders, in their order. The same features may stand in several sequences.
  std::vector<ImageFeatures> images;
};

// New tokens of several sequences whose past is in a KvCache.
struct CachedInput {
  struct Sequence {
    std::vector<int32_t> block_table;  // covers past and new tokens
    int64_t past_tokens = 0;
    int64_t new_tokens = 0;
    int64_t position_offset = 0;  // PositionOffset of the pictures in the past, 0 without any
  };
  at::Tensor token_ids;  // int64 [T], new tokens end to end
  std::vector<Sequence> sequences;
  std::vector<ImageFeatures> images;  // as in PackedInput; only whole runs
};

struct ModelShape {
  std::string family;  // model_type of config.json
  int64_t vocab_size = 0;
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate = 0;  // of the feed-forward of a decoder layer
  int64_t max_positions = 0;
  int64_t image_token_id = -1;
  // Placeholders of one picture that stand side by side, with other tokens between such runs; 0: all do.
  int64_t image_run_tokens = 0;
  bool has_score_head = false;
};

// Canonical Hugging Face name and tensor, in file order.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// A linear layer of a model, and the place where its product can be replaced while gradients are recorded
// (models/lora.h). All copies of the layer share the place.
struct LinearLayer {
  struct Replacement {
    // (x: [..., in], bias: [out] or undefined) -> [..., out]; empty: the layer's own product.
    std::function<at::Tensor(const at::Tensor& x, const at::Tensor& bias)> training_product;
  };
  using Slot = std::shared_ptr<Replacement>;

  std::string name;   // that of the weight, without ".weight"
  at::Tensor weight;  // [out, in]
  Slot slot;
};

class VisionLanguageModel {
 public:
  virtual ~VisionLanguageModel() = default;
  virtual const ModelShape& shape() const = 0;

  // Vision tower and projector; differentiable. One result a picture.
  virtual std::vector<ImageFeatures> EncodeImages(absl::Span<const ProcessedImage> images) = 0;

  // Hidden states after the final norm, [T, hidden]; differentiable.
  // Errors: INVALID_ARGUMENT (placeholders and features disagree: both counts; id outside the vocabulary; too
  // long).
  virtual absl::StatusOr<at::Tensor> Forward(const PackedInput& input) = 0;

  // What pictures do to the positions of the tokens after them: such a token, at index i of its sequence, has
  // position i + PositionOffset. 0 or less; 0 in families whose positions count tokens. Pure.
  virtual int64_t PositionOffset(absl::Span<const ProcessedImage> /*images*/) const { return 0; }

  // The same for new tokens only; writes their keys and values into the cache. No gradient.
  virtual absl::StatusOr<at::Tensor> ForwardCached(const CachedInput& input, KvCache& cache) = 0;

  // hidden: [N, hidden] -> [N, vocab_size] in the model's dtype.
  virtual at::Tensor Logits(const at::Tensor& hidden) = 0;
  // hidden: [N, hidden] -> float32 [N]. Requires shape().has_score_head.
  virtual at::Tensor Scores(const at::Tensor& hidden) = 0;

  // Every tensor of the folder, used or not; those used share storage with what Forward computes with.
  virtual const NamedTensors& tensors() const = 0;
  // The linear layers of all parts, without embeddings and heads.
  virtual std::vector<LinearLayer> linear_layers() const { return {}; }
  // Whether Forward, while gradients are recorded, keeps only the inputs of each decoder layer and computes
  // the rest again in the backward pass.
  virtual void CheckpointActivations(bool /*on*/) {}
  // "vision", "projector", "language" or "score_head".
  virtual std::string PartOf(const std::string& tensor_name) const = 0;
  // Adds (or draws anew) score_head.weight [1, hidden] from normal(0, 0.02).
  virtual void AddScoreHead(uint64_t seed) = 0;
  // Folder the model came from.
  virtual const std::filesystem::path& source() const = 0;
  // Configuration and tokenizer files by name, as SaveModel writes them. Families keep them from loading on,
  // so that a model can be saved after its folder is gone; without that they are read from source().
  virtual absl::StatusOr<std::map<std::string, std::string>> side_files() const;

  KvCache MakeCache(int64_t blocks, int64_t block_tokens) const;
};

// Told of bytes of the files: how many of those that are kept have been read.
using LoadProgressFn = std::function<void(int64_t done, int64_t total)>;
// "llava-7b 42 %, 5.9 of 14.1 GB".
std::string LoadProgressText(const std::filesystem::path& folder, int64_t done, int64_t total);

struct LoadOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  LoadProgressFn progress = nullptr;  // called from time to time, on the thread that loads
};

// Loads a Hugging Face folder of any supported family (config.json: model_type). Memory beside the weights
// themselves: one chunk a thread, whatever the dtypes of file and model are. Names, shapes and dtypes are
// checked before any weight is read, and each weight is read once, by the threads of LibTorch.
// Errors: NOT_FOUND (folder or file), INVALID_ARGUMENT (config, header or shape wrong: file, tensor, what is
// expected; weights that are NaN, infinite or too large for the dtype), UNIMPLEMENTED (family, dtype or
// option that is not supported: names it and the supported ones; pickle-only folder).
absl::StatusOr<std::unique_ptr<VisionLanguageModel>> LoadModel(const std::filesystem::path& folder,
                                                               const LoadOptions& options = {});

// A model with random weights from a folder that holds only config.json (and tokenizer files).
absl::StatusOr<std::unique_ptr<VisionLanguageModel>> MakeRandomModel(const std::filesystem::path& folder,
                                                                     uint64_t seed,
                                                                     const LoadOptions& options = {});

// The model that config.json describes, with tensors that have a shape and no memory (device meta): for
// counting. Weights are neither looked for nor read, and there is no score head. Errors: as LoadModel.
absl::StatusOr<std::unique_ptr<VisionLanguageModel>> OutlineModel(const std::filesystem::path& folder,
                                                                  at::ScalarType dtype = at::kFloat);

// Writes a folder that transformers loads: safetensors in shards of at most `max_shard_bytes` with index,
// config, tokenizer, preprocessor; fsynced. `folder` must not exist or be empty; it appears whole or not at
// all. Memory beside the model: one tensor, where it has to be brought to the CPU.
absl::Status SaveModel(const VisionLanguageModel& model, const std::filesystem::path& folder,
                       int64_t max_shard_bytes = 5'000'000'000);

// Parameters that train, by canonical name; those of the `freeze`d parts (vision, projector, language) are
// left out and get requires_grad(false), the others true. Errors: INVALID_ARGUMENT (an entry matches nothing:
// lists the parts).
absl::StatusOr<NamedTensors> TrainableParameters(const VisionLanguageModel& model,
                                                 const std::vector<std::string>& freeze);

// SHA-256 over config.json and all weight files: names a model in ledger and checkpoints.
absl::StatusOr<std::string> ModelDigest(const std::filesystem::path& folder);

}  // namespace rein::models
