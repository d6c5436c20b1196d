// Low-rank adapters: a linear layer's weight becomes W + (alpha / rank) B A, and only A, B and the score head
// train (docs/decisions/0013-lora-beside-frozen-weights.md).
//
// Life: 1. Attach. 2. Before each forward pass that records gradients: StartPass. 3. After each optimizer
// step on parameters(), and after Load: Merge. From then on model.tensors() holds the merged weights, which
// is what scoring, saving and publishing read. One thread at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/vision_language_model.h"

namespace rein::models {

struct LoraOptions {
  int64_t rank = 0;  // 0: no adapters
  double alpha = 16;
  double dropout = 0;  // share of an adapter's inputs that is dropped while gradients are recorded
  // Layers by their name or its end after a dot; `*` stands for any characters. Empty: every linear layer of
  // the language model.
  std::vector<std::string> targets;
  uint64_t seed = 1;
};

class Lora {
 public:
  // Adds adapters to the layers that `targets` name and freezes all weights but the score head. A is drawn
  // uniformly from +-1 / sqrt(in), B is 0: the model computes what it did. Layers of `frozen_parts` get none.
  // Needs memory for a second copy of the adapted weights. Errors: INVALID_ARGUMENT (rank, alpha or dropout
  // out of range, a target that matches no layer: lists the candidates), FAILED_PRECONDITION (the model has
  // adapters already). The model outlives the adapters.
  static absl::StatusOr<std::unique_ptr<Lora>> Attach(VisionLanguageModel* model, const LoraOptions& options,
                                                      const std::vector<std::string>& frozen_parts = {});
  // The model is left with the weights of the last Merge.
  ~Lora();
  Lora(const Lora&) = delete;
  Lora& operator=(const Lora&) = delete;

  // LAYER.lora_A.weight [rank, in], LAYER.lora_B.weight [out, rank] of each adapted layer, then the score
  // head where the model has one.
  const NamedTensors& parameters() const { return parameters_; }

  // The weights below the adapters, which never change.
  std::vector<at::Tensor> base_weights() const;

  // Chooses the dropout masks: a pure function of the seed, the layer, `step` and `pass`.
  void StartPass(int64_t step, int64_t pass);

  // Writes base + (alpha / rank) B A to the model's tensors, from the untouched base weights: nothing drifts.
  void Merge();

  // adapter_config.json and adapter_model.safetensors as PEFT writes them, in a new or empty folder. `base`
  // is the folder of the weights below the adapters.
  absl::Status Save(const std::filesystem::path& folder, const std::filesystem::path& base) const;
  // Reads such a folder: tensors in the order of parameters(), for Set. Errors: NOT_FOUND, INVALID_ARGUMENT
  // (other layers, rank or alpha).
  absl::StatusOr<NamedTensors> Read(const std::filesystem::path& folder) const;
  // Copies the values of Read into parameters() and merges.
  void Set(const NamedTensors& values);

 private:
  struct Adapter;
  // The key of the dropout masks of the present pass.
  struct Dropout {
    double share = 0;
    uint64_t pass_key = 0;
  };

  Lora(VisionLanguageModel* model, const LoraOptions& options);
  void Add(const LinearLayer& layer);
  absl::Status CheckConfig(const std::filesystem::path& file) const;
  std::string ConfigJson(const std::filesystem::path& base) const;

  VisionLanguageModel* const model_;
  const LoraOptions options_;
  Dropout dropout_;
  std::vector<std::unique_ptr<Adapter>> adapters_;
  NamedTensors parameters_;
  bool score_head_ = false;
};

// 0 where an element is dropped, 1 / (1 - share) elsewhere: float32 of `shape`. Element i is dropped where
// Mix64(key + i * 0x9e3779b97f4a7c15), as a signed number, is below (share - 1/2) * 2^64: equal on all
// devices.
at::Tensor DropoutMask(uint64_t key, double share, at::IntArrayRef shape, at::Device device);

// The name of a layer as PEFT stores it: that of the module of transformers 5 that holds it.
std::string PeftLayerName(const VisionLanguageModel& model, const std::string& layer);

}  // namespace rein::models
