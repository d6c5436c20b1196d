#include "models/qwen2_vl/names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace rein::models {

std::string CanonicalQwen2VlName(absl::string_view name) {
  while (absl::ConsumePrefix(&name, "model.") || absl::ConsumePrefix(&name, "language_model.")) {
  }
  for (absl::string_view part : {"embed_tokens.", "layers.", "norm.", "rotary_emb."}) {
    if (absl::StartsWith(name, part)) return absl::StrCat("model.", name);
  }
  return std::string(name);
}

bool IsDerivedQwen2VlBuffer(absl::string_view canonical_name) {
  return absl::EndsWith(canonical_name, "rotary_emb.inv_freq") ||
         absl::EndsWith(canonical_name, "rotary_pos_emb.inv_freq");
}

}  // namespace rein::models
