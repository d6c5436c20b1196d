// The Llama text decoder: RMSNorm, rotary positions, grouped-query attention, gated feed-forward.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/activation.h"
#include "models/kv_cache.h"
#include "models/parameters.h"

namespace rein::models {

// Defaults are those of transformers' LlamaConfig.
struct LlamaConfig {
  int64_t vocab_size = 32000;
  int64_t hidden = 4096;
  int64_t intermediate = 11008;
  int64_t layers = 32;
  int64_t heads = 32;
  int64_t kv_heads = 32;
  int64_t head_dim = 128;
  int64_t max_positions = 2048;
  Activation activation = Activation::kSilu;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  bool attention_bias = false;  // of queries, keys and values
  bool output_bias = false;     // of the projection after attention
  bool mlp_bias = false;
  bool tied = false;
  double initializer_range = 0.02;
  // Multimodal rotary positions: three rows of positions, and the pairs of a head that take theirs from each
  // row in turn. Sums up to head_dim / 2; empty: one row.
  std::vector<int64_t> mrope_sections;
};

// How a family calls the tensors of its decoder.
struct DecoderNames {
  std::string prefix;  // of "embed_tokens.weight", "layers.0.…", "norm.weight"
  std::string head;    // the whole name
};

// Where new tokens go in a cache and what each of them sees.
struct CachePlan {
  at::Tensor slots;         // int64 [T], block * block_tokens + offset, on the cache's device
  at::Tensor block_tables;  // int32 [B, max_blocks], CPU
  std::vector<int64_t> query_lens;
  std::vector<int64_t> context_lens;
};

class LlamaDecoder {
 public:
  // Adds its tensors; no head when it is tied.
  LlamaDecoder(const LlamaConfig& config, const DecoderNames& names, Parameters& parameters);

  // ids: int64 [T] -> [T, hidden].
  at::Tensor Embed(const at::Tensor& ids) const;
  // x: [T, hidden], positions: int64 [T] or, with mrope_sections, [3, T] on the CPU, each below
  // max_positions. After the final norm, [T, hidden].
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& positions,
                     const std::vector<int64_t>& cu_seqlens);
  at::Tensor ForwardCached(const at::Tensor& x, const at::Tensor& positions, const CachePlan& plan,
                           KvCache& cache);
  // See VisionLanguageModel.
  void CheckpointActivations(bool on) { checkpoint_activations_ = on; }
  // [N, hidden] -> [N, vocab_size].
  at::Tensor Logits(const at::Tensor& hidden) const;

 private:
  struct Layer {
    at::Tensor input_norm, post_attention_norm;
    JoinedLinear qkv;
    Linear output;
    JoinedLinear gate_up;
    Linear down;
  };
  struct Rotation {
    at::Tensor cos, sin;  // float32 [T, head_dim]
  };
  // What attention reads: [T, heads, head_dim], [T, kv_heads, head_dim] twice; rotated.
  struct Heads {
    at::Tensor q, k, v;
  };
  Rotation RotationAt(const at::Tensor& positions, at::Device device);
  void ExtendTables(int64_t positions);
  // table: [positions, head_dim], rows: int64 [3 * T] -> [T, head_dim], each section from its row.
  at::Tensor PickSections(const at::Tensor& table, const at::Tensor& rows) const;
  Heads Project(const Layer& layer, const at::Tensor& normed, const Rotation& rotation) const;
  // Output projection, residual and feed-forward.
  at::Tensor Finish(const Layer& layer, const at::Tensor& x, const at::Tensor& attended) const;

  LlamaConfig config_;
  double scale_;
  bool checkpoint_activations_ = false;
  at::Tensor embedding_, norm_, head_;
  std::vector<Layer> layers_;
  at::Tensor cos_, sin_;  // float32 [positions so far, head_dim]
};

}  // namespace rein::models
