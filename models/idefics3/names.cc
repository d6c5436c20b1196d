#include "models/idefics3/names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace rein::models {

std::string CanonicalIdefics3Name(absl::string_view name) {
  while (absl::ConsumePrefix(&name, "model.")) {
  }
  for (absl::string_view part : {"vision_model.", "connector.", "text_model."}) {
    if (absl::StartsWith(name, part)) return absl::StrCat("model.", name);
  }
  return std::string(name);
}

bool IsDerivedIdefics3Buffer(absl::string_view canonical_name) {
  return absl::EndsWith(canonical_name, ".rotary_emb.inv_freq") ||
         absl::EndsWith(canonical_name, ".embeddings.position_ids");
}

}  // namespace rein::models
