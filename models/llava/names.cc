#include "models/llava/names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace rein::models {
namespace {

bool StartsWithAny(absl::string_view text, std::initializer_list<absl::string_view> prefixes) {
  for (absl::string_view prefix : prefixes) {
    if (absl::StartsWith(text, prefix)) return true;
  }
  return false;
}

}  // namespace

std::string CanonicalLlavaName(absl::string_view name) {
  while (absl::ConsumePrefix(&name, "model.")) {
  }
  if (StartsWithAny(name, {"lm_head."})) return absl::StrCat("language_model.", name);
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "language_model.") &&
      StartsWithAny(rest, {"embed_tokens.", "layers.", "norm."})) {
    return absl::StrCat("language_model.model.", rest);
  }
  rest = name;
  if (absl::ConsumePrefix(&rest, "vision_tower.") &&
      StartsWithAny(rest, {"embeddings.", "encoder.", "pre_layrnorm.", "post_layernorm."})) {
    return absl::StrCat("vision_tower.vision_model.", rest);
  }
  return std::string(name);
}

std::string LlavaVisionPart(absl::string_view canonical_name) {
  if (absl::StartsWith(canonical_name, "vision_tower.")) return "vision";
  return StartsWithAny(canonical_name, {"multi_modal_projector.", "image_newline"}) ? "projector" : "";
}

bool IsDerivedLlavaBuffer(absl::string_view canonical_name) {
  return absl::EndsWith(canonical_name, ".rotary_emb.inv_freq") ||
         absl::EndsWith(canonical_name, ".embeddings.position_ids");
}

}  // namespace rein::models
