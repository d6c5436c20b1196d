#include "models/idefics3/config.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/config_fields.h"
#include "models/llama/config.h"

namespace rein::models {
namespace {

absl::Status ReadText(const Fields& root, LlamaConfig& config) {
  REIN_ASSIGN_OR_RETURN(const Fields text, root.Object("text_config"));
  REIN_ASSIGN_OR_RETURN(const std::string type, text.String("model_type", "llama"));
  if (type != "llama") return text.Unsupported("model_type", type, "llama");
  // What Idefics3Config takes when a folder says nothing about its text model; else LlamaConfig's own.
  if (!root.Has("text_config")) config.rms_norm_eps = 1e-5;
  REIN_RETURN_IF_ERROR(ReadOwnLlamaConfig(text, config));
  // transformers reads this at the root only.
  REIN_ASSIGN_OR_RETURN(config.tied, root.Bool("tie_word_embeddings", false));
  return absl::OkStatus();
}

absl::Status ReadVision(const Fields& root, ClipVisionConfig& config) {
  REIN_ASSIGN_OR_RETURN(const Fields vision, root.Object("vision_config"));
  // The released folders write the name of the whole family.
  REIN_ASSIGN_OR_RETURN(const std::string type, vision.String("model_type", "idefics3_vision"));
  if (type != "idefics3_vision" && type != "idefics3" && type != "smolvlm_vision" && type != "smolvlm")
    return vision.Unsupported("model_type", type, "idefics3_vision, smolvlm_vision");
  return ReadClipVisionConfig(vision, "gelu_pytorch_tanh", config);
}

}  // namespace

absl::StatusOr<Idefics3Config> ParseIdefics3Config(const Json& json, const std::string& where) {
  const Fields root(json, where);
  Idefics3Config config;
  REIN_ASSIGN_OR_RETURN(config.model_type, root.String("model_type", config.model_type));
  REIN_RETURN_IF_ERROR(ReadText(root, config.text));
  REIN_RETURN_IF_ERROR(ReadVision(root, config.vision));
  REIN_ASSIGN_OR_RETURN(config.scale_factor, root.Int("scale_factor", config.scale_factor, 1, 64));
  if (config.vision.side_patches() % config.scale_factor != 0) {
    return root.Error("scale_factor",
                      absl::StrCat("is ", config.scale_factor, "; it must divide the ",
                                   config.vision.side_patches(), " patches along the side of a picture"));
  }
  REIN_ASSIGN_OR_RETURN(config.image_token_id,
                        ReadTokenId(root, "image_token_id", config.image_token_id, config.text.vocab_size));
  return config;
}

}  // namespace rein::models
