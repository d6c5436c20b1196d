#include "models/clip/config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/config_fields.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxSize = 1 << 20;

// A side in pixels, written as one number or as a pair of equal ones.
absl::StatusOr<int64_t> ReadSide(const Fields& vision, const std::string& key, int64_t fallback) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> sides, vision.IntOrInts(key, {fallback}));
  const bool square = sides.size() == 1 || (sides.size() == 2 && sides[0] == sides[1]);
  if (!square || sides[0] < 1 || sides[0] > 8192) {
    return vision.Error(key, "must be a side from 1 to 8192 pixels; only squares are supported");
  }
  return sides[0];
}

}  // namespace

absl::Status ReadClipVisionConfig(const Fields& vision, const char* activation, ClipVisionConfig& config) {
  REIN_RETURN_IF_ERROR(RefuseDropout(vision));
  REIN_ASSIGN_OR_RETURN(config.hidden, vision.Int("hidden_size", config.hidden, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.intermediate,
                        vision.Int("intermediate_size", config.intermediate, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.layers, vision.Int("num_hidden_layers", config.layers, 1, 1024));
  REIN_ASSIGN_OR_RETURN(config.heads, vision.Int("num_attention_heads", config.heads, 1, 4096));
  REIN_RETURN_IF_ERROR(vision.Int("num_channels", 3, 3, 3).status());
  REIN_ASSIGN_OR_RETURN(config.image_size, ReadSide(vision, "image_size", config.image_size));
  REIN_ASSIGN_OR_RETURN(config.patch_size, ReadSide(vision, "patch_size", config.patch_size));
  REIN_ASSIGN_OR_RETURN(config.activation, ReadActivation(vision, "hidden_act", activation));
  REIN_ASSIGN_OR_RETURN(config.layer_norm_eps, vision.Number("layer_norm_eps", config.layer_norm_eps, 0, 1));
  REIN_ASSIGN_OR_RETURN(config.initializer_range,
                        vision.Number("initializer_range", config.initializer_range, 0, 1));
  if (config.hidden % config.heads != 0) {
    return vision.Error("hidden_size", absl::StrCat("is ", config.hidden, "; it must be a multiple of the ",
                                                    config.heads, " attention heads"));
  }
  if (config.patch_size > config.image_size) return vision.Error("patch_size", "is larger than image_size");
  return absl::OkStatus();
}

}  // namespace rein::models
