#include "models/llava/config.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/config_fields.h"
#include "models/llama/config.h"
#include "models/llama/mistral_config.h"

namespace rein::models {
namespace {

absl::Status ReadText(const Fields& text, LlamaConfig& config) {
  REIN_ASSIGN_OR_RETURN(const std::string type, text.String("model_type", "llama"));
  if (type == "mistral") return ReadMistralConfig(text, config);
  // Folders that keep the text settings at the root have the family's name there.
  if (type != "llama" && type != "llava" && type != "llava_next")
    return text.Unsupported("model_type", type, "llama, mistral");
  return ReadOwnLlamaConfig(text, config);
}

absl::Status ReadVision(const Fields& vision, ClipVisionConfig& config) {
  REIN_ASSIGN_OR_RETURN(const std::string type, vision.String("model_type", "clip_vision_model"));
  if (type != "clip_vision_model") return vision.Unsupported("model_type", type, "clip_vision_model");
  return ReadClipVisionConfig(vision, "quick_gelu", config);
}

// What LlavaConfig takes when a folder says nothing about its tower: CLIP ViT-L/14 at 336 pixels.
ClipVisionConfig LargeTower() {
  return {
      .hidden = 1024, .intermediate = 4096, .layers = 24, .heads = 16, .image_size = 336, .patch_size = 14};
}

absl::StatusOr<bool> ReadKeepClassToken(const Fields& root) {
  const char* key = "vision_feature_select_strategy";
  REIN_ASSIGN_OR_RETURN(const std::string strategy, root.String(key, "default"));
  const absl::string_view name = strategy;
  if (name == "default") return false;
  if (name == "full") return true;
  return root.Unsupported(key, strategy, "default, full");
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
  REIN_ASSIGN_OR_RETURN(config.keep_class_token, ReadKeepClassToken(root));
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
  REIN_ASSIGN_OR_RETURN(config.image_token_id,
                        ReadTokenId(root, image_key, config.image_token_id, config.text.vocab_size));
  return config;
}

}  // namespace rein::models
