#include "models/llava/config.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/config_fields.h"
#include "models/llama/config.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxSize = 1 << 20;

absl::Status ReadText(const Fields& text, LlamaConfig& config) {
  REIN_ASSIGN_OR_RETURN(const std::string type, text.String("model_type", "llama"));
  if (type != "llama" && type != "llava") return text.Unsupported("model_type", type, "llama");
  config.kv_heads = 0;
  REIN_RETURN_IF_ERROR(ReadLlamaConfig(text, {"default"}, config));
  REIN_ASSIGN_OR_RETURN(config.attention_bias, text.Bool("attention_bias", false));
  config.output_bias = config.attention_bias;
  REIN_ASSIGN_OR_RETURN(config.mlp_bias, text.Bool("mlp_bias", false));
  return absl::OkStatus();
}

// A side in pixels, written as one number or as a pair of equal ones.
absl::StatusOr<int64_t> ReadSide(const Fields& vision, const std::string& key, int64_t fallback) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> sides, vision.IntOrInts(key, {fallback}));
  const bool square = sides.size() == 1 || (sides.size() == 2 && sides[0] == sides[1]);
  if (!square || sides[0] < 1 || sides[0] > 8192) {
    return vision.Error(key, "must be a side from 1 to 8192 pixels; only squares are supported");
  }
  return sides[0];
}

absl::Status ReadVision(const Fields& vision, ClipVisionConfig& config) {
  REIN_ASSIGN_OR_RETURN(const std::string type, vision.String("model_type", "clip_vision_model"));
  if (type != "clip_vision_model") return vision.Unsupported("model_type", type, "clip_vision_model");
  REIN_RETURN_IF_ERROR(RefuseDropout(vision));
  REIN_ASSIGN_OR_RETURN(config.hidden, vision.Int("hidden_size", config.hidden, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.intermediate,
                        vision.Int("intermediate_size", config.intermediate, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.layers, vision.Int("num_hidden_layers", config.layers, 1, 1024));
  REIN_ASSIGN_OR_RETURN(config.heads, vision.Int("num_attention_heads", config.heads, 1, 4096));
  REIN_RETURN_IF_ERROR(vision.Int("num_channels", 3, 3, 3).status());
  REIN_ASSIGN_OR_RETURN(config.image_size, ReadSide(vision, "image_size", config.image_size));
  REIN_ASSIGN_OR_RETURN(config.patch_size, ReadSide(vision, "patch_size", config.patch_size));
  REIN_ASSIGN_OR_RETURN(config.activation, ReadActivation(vision, "hidden_act", "quick_gelu"));
  REIN_ASSIGN_OR_RETURN(config.layer_norm_eps, vision.Number("layer_norm_eps", 1e-5, 0, 1));
  REIN_ASSIGN_OR_RETURN(config.initializer_range, vision.Number("initializer_range", 0.02, 0, 1));
  if (config.hidden % config.heads != 0) {
    return vision.Error("hidden_size", absl::StrCat("is ", config.hidden, "; it must be a multiple of the ",
                                                    config.heads, " attention heads"));
  }
  if (config.patch_size > config.image_size) return vision.Error("patch_size", "is larger than image_size");
  return absl::OkStatus();
}

// What LlavaConfig takes when a folder says nothing about its tower: CLIP ViT-L/14 at 336 pixels.
ClipVisionConfig LargeTower() {
  return {
      .hidden = 1024, .intermediate = 4096, .layers = 24, .heads = 16, .image_size = 336, .patch_size = 14};
}

absl::Status ReadFeatures(const Fields& root, LlavaConfig& config) {
  REIN_ASSIGN_OR_RETURN(config.feature_layers, root.IntOrInts("vision_feature_layer", {-2}));
  const int64_t states = config.vision.layers + 1;
  if (config.feature_layers.empty() || config.feature_layers.size() > 64) {
    return root.Error("vision_feature_layer", "must name 1 to 64 layers");
  }
  for (int64_t& layer : config.feature_layers) {
    if (layer < -states || layer >= states) {
      return root.Error("vision_feature_layer",
                        absl::StrCat("is ", layer, "; it must lie from ", -states, " to ", states - 1));
    }
    if (layer < 0) layer += states;
  }
  REIN_ASSIGN_OR_RETURN(const std::string strategy, root.String("vision_feature_select_strategy", "default"));
  if (strategy != "default" && strategy != "full") {
    return root.Unsupported("vision_feature_select_strategy", strategy, "default, full");
  }
  config.keep_class_token = strategy == "full";
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LlavaConfig> ParseLlavaConfig(const Json& json, const std::string& where) {
  const Fields root(json, where);
  LlavaConfig config;
  // Folders from before nested configurations keep the text settings at the root.
  REIN_ASSIGN_OR_RETURN(const Fields nested, root.Object("text_config"));
  const Fields& text = root.Has("text_config") ? nested : root;
  REIN_RETURN_IF_ERROR(ReadText(text, config.text));
  REIN_ASSIGN_OR_RETURN(const bool tied, root.Bool("tie_word_embeddings", false));
  config.text.tied = config.text.tied || tied;
  REIN_ASSIGN_OR_RETURN(const Fields vision, root.Object("vision_config"));
  if (!root.Has("vision_config")) config.vision = LargeTower();
  REIN_RETURN_IF_ERROR(ReadVision(vision, config.vision));
  REIN_RETURN_IF_ERROR(ReadFeatures(root, config));
  REIN_ASSIGN_OR_RETURN(config.projector_activation, ReadActivation(root, "projector_hidden_act", "gelu"));
  REIN_ASSIGN_OR_RETURN(config.projector_bias, root.Bool("multimodal_projector_bias", true));
  const char* image_key = root.Has("image_token_id") ? "image_token_id" : "image_token_index";
  REIN_ASSIGN_OR_RETURN(config.image_token_id, root.Int(image_key, 32000, 0, config.text.vocab_size - 1));
  if (config.image_token_id >= config.text.vocab_size) {
    return root.Error(image_key,
                      absl::StrCat("is missing and its default, 32000, is outside the vocabulary of ",
                                   config.text.vocab_size));
  }
  return config;
}

}  // namespace rein::models
