#include "models/llama/decoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/ops.h"
#include "kernels/precision.h"
#include "models/recomputed.h"

namespace rein::models {
namespace {

// gate_up: [T, 2 * intermediate], gate and up side by side.
at::Tensor Gated(Activation activation, const at::Tensor& gate_up) {
  if (activation == Activation::kSilu) return kernels::SiluProduct(gate_up);
  const auto halves = gate_up.chunk(2, 1);
  return Activate(activation, halves[0]) * halves[1];
}

}  // namespace

LlamaDecoder::LlamaDecoder(const LlamaConfig& config, const DecoderNames& names, Parameters& parameters)
    : config_(config), scale_(1.0 / std::sqrt(static_cast<double>(config.head_dim))) {
  using Fill = Parameters::Fill;
  const double deviation = config.initializer_range;
  const int64_t q_rows = config.heads * config.head_dim;
  const int64_t kv_rows = config.kv_heads * config.head_dim;
  embedding_ = parameters.Add(names.prefix + "embed_tokens.weight", {config.vocab_size, config.hidden},
                              Fill::kNormal, deviation);
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = absl::StrCat(names.prefix, "layers.", i, ".");
    const std::string attention = prefix + "self_attn.";
    Layer layer;
    layer.input_norm = parameters.Add(prefix + "input_layernorm.weight", {config.hidden}, Fill::kOnes);
    layer.qkv = parameters.AddJoined(
        {{attention + "q_proj", q_rows}, {attention + "k_proj", kv_rows}, {attention + "v_proj", kv_rows}},
        config.hidden, config.attention_bias, deviation);
    layer.output =
        parameters.AddLinear(attention + "o_proj", config.hidden, q_rows, config.output_bias, deviation);
    layer.post_attention_norm =
        parameters.Add(prefix + "post_attention_layernorm.weight", {config.hidden}, Fill::kOnes);
    layer.gate_up = parameters.AddJoined(
        {{prefix + "mlp.gate_proj", config.intermediate}, {prefix + "mlp.up_proj", config.intermediate}},
        config.hidden, config.mlp_bias, deviation);
    layer.down = parameters.AddLinear(prefix + "mlp.down_proj", config.hidden, config.intermediate,
                                      config.mlp_bias, deviation);
    layers_.push_back(std::move(layer));
  }
  norm_ = parameters.Add(names.prefix + "norm.weight", {config.hidden}, Fill::kOnes);
  head_ = config.tied
              ? embedding_
              : parameters.Add(names.head, {config.vocab_size, config.hidden}, Fill::kNormal, deviation);
}

at::Tensor LlamaDecoder::Embed(const at::Tensor& ids) const { return at::embedding(embedding_, ids); }

at::Tensor LlamaDecoder::Logits(const at::Tensor& hidden) const {
  const kernels::ProductPrecision whole(at::kFloat);
  return kernels::Linear(hidden, head_);
}

void LlamaDecoder::ExtendTables(int64_t positions) {
  const at::NoGradGuard no_grad;
  const at::Tensor exponents =
      at::arange(0, config_.head_dim, 2, at::kFloat) / static_cast<double>(config_.head_dim);
  const at::Tensor frequencies = at::reciprocal(at::pow(config_.rope_theta, exponents));
  const at::Tensor angles = at::outer(at::arange(positions, at::kFloat), frequencies);
  const at::Tensor both = at::cat({angles, angles}, 1);
  cos_ = both.cos().to(embedding_.device());
  sin_ = both.sin().to(embedding_.device());
}

LlamaDecoder::Rotation LlamaDecoder::RotationAt(const at::Tensor& positions, at::Device device) {
  const int64_t needed = positions.numel() == 0 ? 0 : positions.max().item<int64_t>() + 1;
  const int64_t ready = cos_.defined() ? cos_.size(0) : 0;
  if (needed > ready) ExtendTables(std::min(config_.max_positions, std::max<int64_t>(256, 2 * needed)));
  const at::Tensor rows = positions.flatten().to(device);
  if (positions.dim() == 2) return {PickSections(cos_, rows), PickSections(sin_, rows)};
  return {cos_.index_select(0, rows), sin_.index_select(0, rows)};
}

at::Tensor LlamaDecoder::PickSections(const at::Tensor& table, const at::Tensor& rows) const {
  const at::Tensor all = table.index_select(0, rows).view({3, -1, config_.head_dim});
  std::vector<at::Tensor> pieces;
  int64_t column = 0;
  for (int half = 0; half < 2; ++half) {  // the two members of every pair
    for (size_t i = 0; i < config_.mrope_sections.size(); ++i) {
      pieces.push_back(all[static_cast<int64_t>(i % 3)].narrow(1, column, config_.mrope_sections[i]));
      column += config_.mrope_sections[i];
    }
  }
  return at::cat(pieces, 1);
}

LlamaDecoder::Heads LlamaDecoder::Project(const Layer& layer, const at::Tensor& normed,
                                          const Rotation& rotation) const {
  const int64_t rotated_heads = config_.heads + config_.kv_heads;
  const at::Tensor qkv = Apply(layer.qkv, normed).view({normed.size(0), -1, config_.head_dim});
  // Queries and keys lie side by side: one rotation turns both.
  const auto parts = qkv.split_with_sizes({rotated_heads, config_.kv_heads}, 1);
  const at::Tensor turned = kernels::Rotary(parts[0], rotation.cos, rotation.sin);
  const auto qk = turned.split_with_sizes({config_.heads, config_.kv_heads}, 1);
  return {qk[0], qk[1], parts[1]};
}

at::Tensor LlamaDecoder::Finish(const Layer& layer, const at::Tensor& x, const at::Tensor& attended) const {
  const at::Tensor after = x + Apply(layer.output, attended.reshape({x.size(0), -1}));
  const at::Tensor normed = kernels::RmsNorm(after, layer.post_attention_norm, config_.rms_norm_eps);
  return after + Apply(layer.down, Gated(config_.activation, Apply(layer.gate_up, normed)));
}

at::Tensor LlamaDecoder::Forward(const at::Tensor& x, const at::Tensor& positions,
                                 const std::vector<int64_t>& cu_seqlens) {
  const Rotation rotation = RotationAt(positions, x.device());
  at::Tensor hidden = x;
  for (const Layer& layer : layers_) {
    const auto block = [this, &layer, rotation, cu_seqlens](const at::Tensor& in) {
      const Heads heads =
          Project(layer, kernels::RmsNorm(in, layer.input_norm, config_.rms_norm_eps), rotation);
      return Finish(layer, in, kernels::PackedAttention(heads.q, heads.k, heads.v, cu_seqlens, scale_));
    };
    hidden = checkpoint_activations_ ? Recomputed(block, hidden) : block(hidden);
  }
  return kernels::RmsNorm(hidden, norm_, config_.rms_norm_eps);
}

at::Tensor LlamaDecoder::ForwardCached(const at::Tensor& x, const at::Tensor& positions,
                                       const CachePlan& plan, KvCache& cache) {
  const Rotation rotation = RotationAt(positions, x.device());
  at::Tensor hidden = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const Heads heads =
        Project(layer, kernels::RmsNorm(hidden, layer.input_norm, config_.rms_norm_eps), rotation);
    at::Tensor& keys = cache.keys(static_cast<int64_t>(i));
    at::Tensor& values = cache.values(static_cast<int64_t>(i));
    keys.view({-1, config_.kv_heads, config_.head_dim})
        .index_copy_(0, plan.slots, heads.k.to(keys.scalar_type()));
    values.view({-1, config_.kv_heads, config_.head_dim})
        .index_copy_(0, plan.slots, heads.v.to(values.scalar_type()));
    hidden = Finish(layer, hidden,
                    kernels::PagedAttention(heads.q, keys, values, plan.block_tables, plan.query_lens,
                                            plan.context_lens, scale_));
  }
  return kernels::RmsNorm(hidden, norm_, config_.rms_norm_eps);
}

}  // namespace rein::models
