#include "models/llama/mistral_config.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/llama/config.h"

namespace rein::models {
namespace {

constexpr int64_t kDefaultWindow = 4096;

// A window is off where the key is null, and has its default where there is no key.
absl::Status CheckWindow(const Fields& text, int64_t max_positions) {
  const auto found = text.json().find("sliding_window");
  const bool written = found != text.json().end();
  if (written && found->is_null()) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const int64_t window,
                        text.Int("sliding_window", kDefaultWindow, 1, std::numeric_limits<int64_t>::max()));
  if (window >= max_positions) return absl::OkStatus();
  return text.Unsupported(
      "sliding_window", absl::StrCat(window, written ? "" : " (its default: there is no such key)"),
      absl::StrCat("null, and windows of max_position_embeddings, ", max_positions, ", or more"));
}

}  // namespace

absl::Status ReadMistralConfig(const Fields& text, LlamaConfig& config) {
  config = {.intermediate = 14336, .kv_heads = 8, .max_positions = 131072};
  REIN_RETURN_IF_ERROR(ReadLlamaConfig(text, {"default"}, config));
  return CheckWindow(text, config.max_positions);
}

}  // namespace rein::models
