#include "models/qwen2_vl/config.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/config_fields.h"
#include "models/llama/config.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxSize = 1 << 20;

// Those of transformers' Qwen2VLTextConfig.
LlamaConfig TextDefaults() {
  return {.vocab_size = 152064,
          .hidden = 8192,
          .intermediate = 29568,
          .layers = 80,
          .heads = 64,
          .kv_heads = 8,
          .max_positions = 32768,
          .rms_norm_eps = 1e-5,
          .rope_theta = 1e6,
          .attention_bias = true,
          .mrope_sections = {16, 24, 24}};
}

absl::Status ReadText(const Fields& text, LlamaConfig& config) {
  REIN_ASSIGN_OR_RETURN(const std::string type, text.String("model_type", "qwen2_vl_text"));
  if (type != "qwen2_vl_text" && type != "qwen2_vl")
    return text.Unsupported("model_type", type, "qwen2_vl_text");
  config = TextDefaults();
  REIN_RETURN_IF_ERROR(ReadLlamaConfig(text, {"default", "mrope"}, config));
  REIN_ASSIGN_OR_RETURN(const bool sliding, text.Bool("use_sliding_window", false));
  if (sliding) return text.Unsupported("use_sliding_window", "true", "false");
  if (config.head_dim * config.heads == config.hidden) return absl::OkStatus();
  return text.Error("head_dim", absl::StrCat("is ", config.head_dim, "; hidden_size, ", config.hidden,
                                             ", must be that of all ", config.heads, " heads"));
}

// One number, or a list of equal ones.
absl::StatusOr<int64_t> ReadPatch(const Fields& vision, const std::string& key, int64_t fallback) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, vision.IntOrInts(key, {fallback}));
  for (int64_t size : sizes) {
    if (size < 1 || size > 256 || size != sizes[0])
      return vision.Error(key, "must be one size from 1 to 256; only squares are supported");
  }
  return sizes.empty() ? vision.Error(key, "is an empty list") : absl::StatusOr<int64_t>(sizes[0]);
}

absl::Status ReadVisionRope(const Fields& vision, Qwen2VlVisionConfig& config) {
  REIN_ASSIGN_OR_RETURN(const Fields rope, vision.Object("rope_parameters"));
  REIN_ASSIGN_OR_RETURN(const std::string type, rope.String("rope_type", "axial"));
  if (type != "axial") return rope.Unsupported("rope_type", type, "axial");
  REIN_ASSIGN_OR_RETURN(config.rope_theta, rope.Number("rope_theta", config.rope_theta, 1.0, 1e12));
  return absl::OkStatus();
}

absl::Status CheckVision(const Fields& vision, const Qwen2VlVisionConfig& config, int64_t text_hidden) {
  if (config.width % config.heads != 0 || config.width / config.heads % 4 != 0) {
    return vision.Error("embed_dim",
                        absl::StrCat("is ", config.width, "; it must give each of the ", config.heads,
                                     " heads a multiple of 4, for rows and columns of rotary positions"));
  }
  if (config.hidden == text_hidden) return absl::OkStatus();
  return vision.Error("hidden_size",
                      absl::StrCat("is ", config.hidden, "; it must be the decoder's, ", text_hidden));
}

absl::Status ReadVision(const Fields& vision, int64_t text_hidden, Qwen2VlVisionConfig& config) {
  // The released folders write the name of the whole family.
  REIN_ASSIGN_OR_RETURN(const std::string type, vision.String("model_type", "qwen2_vl_vision"));
  if (type != "qwen2_vl_vision" && type != "qwen2_vl")
    return vision.Unsupported("model_type", type, "qwen2_vl_vision");
  REIN_ASSIGN_OR_RETURN(config.layers, vision.Int("depth", config.layers, 1, 1024));
  REIN_ASSIGN_OR_RETURN(config.width, vision.Int("embed_dim", config.width, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.hidden, vision.Int("hidden_size", config.hidden, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.heads, vision.Int("num_heads", config.heads, 1, 4096));
  REIN_ASSIGN_OR_RETURN(config.mlp_ratio, vision.Int("mlp_ratio", config.mlp_ratio, 1, 64));
  for (const char* key : {"in_channels", "in_chans"}) REIN_RETURN_IF_ERROR(vision.Int(key, 3, 3, 3).status());
  REIN_ASSIGN_OR_RETURN(config.patch_size, ReadPatch(vision, "patch_size", config.patch_size));
  REIN_ASSIGN_OR_RETURN(config.frames, ReadPatch(vision, "temporal_patch_size", config.frames));
  REIN_ASSIGN_OR_RETURN(config.merge_size, vision.Int("spatial_merge_size", config.merge_size, 1, 64));
  REIN_ASSIGN_OR_RETURN(config.activation, ReadActivation(vision, "hidden_act", "quick_gelu"));
  REIN_ASSIGN_OR_RETURN(config.initializer_range, vision.Number("initializer_range", 0.02, 0, 1));
  REIN_RETURN_IF_ERROR(ReadVisionRope(vision, config));
  return CheckVision(vision, config, text_hidden);
}

}  // namespace

absl::StatusOr<Qwen2VlConfig> ParseQwen2VlConfig(const Json& json, const std::string& where) {
  const Fields root(json, where);
  Qwen2VlConfig config;
  // The released folders keep the text settings at the root.
  REIN_ASSIGN_OR_RETURN(const Fields nested, root.Object("text_config"));
  REIN_RETURN_IF_ERROR(ReadText(root.Has("text_config") ? nested : root, config.text));
  REIN_ASSIGN_OR_RETURN(const bool tied, root.Bool("tie_word_embeddings", false));
  config.text.tied = config.text.tied || tied;
  REIN_ASSIGN_OR_RETURN(const Fields vision, root.Object("vision_config"));
  REIN_RETURN_IF_ERROR(ReadVision(vision, config.text.hidden, config.vision));
  REIN_ASSIGN_OR_RETURN(config.image_token_id,
                        ReadTokenId(root, "image_token_id", config.image_token_id, config.text.vocab_size));
  REIN_ASSIGN_OR_RETURN(config.video_token_id,
                        root.Int("video_token_id", config.video_token_id, 0, int64_t{1} << 31));
  return config;
}

}  // namespace rein::models
