#include "models/llava_next/config.h"

#include <utility>

#include "base/status.h"

namespace rein::models {

absl::StatusOr<LlavaNextConfig> ParseLlavaNextConfig(const Json& json, const std::string& where) {
  const Fields root(json, where);
  REIN_ASSIGN_OR_RETURN(LlavaConfig llava, ParseLlavaConfig(json, where));
  // With the class token the features of a tile are no grid; transformers fails on every picture.
  if (llava.keep_class_token) return root.Unsupported("vision_feature_select_strategy", "full", "default");
  // Other than for LLaVA-1.5, transformers does not ask the text settings.
  REIN_ASSIGN_OR_RETURN(llava.text.tied, root.Bool("tie_word_embeddings", false));
  REIN_ASSIGN_OR_RETURN(Tiling tiling,
                        Tiling::Read(root, llava.vision.image_size, llava.vision.side_patches()));
  return LlavaNextConfig{.llava = std::move(llava), .tiling = std::move(tiling)};
}

}  // namespace rein::models
