#include "actors/rollout/engine/request_check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::rollout {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckLength(const GenerationRequest& request, const RequestLimits& limits) {
  const auto prompt = static_cast<int64_t>(request.prompt_tokens.size());
  const int64_t response = request.params.max_response_tokens;
  if (prompt == 0) return Invalid("the prompt has no tokens; at least 1 is needed");
  if (prompt > limits.max_prompt_tokens) {
    return Invalid("the prompt has ", prompt, " tokens, ", limits.max_prompt_tokens,
                   " are allowed (rollout.max_prompt_tokens)");
  }
  const int64_t longest = prompt + response;
  if (longest > limits.max_positions) {
    return Invalid("prompt and response may take ", prompt, " + ", response, " tokens, the model takes ",
                   limits.max_positions, " (max_position_embeddings); shorten one of them");
  }
  if (longest > limits.cache_tokens) {
    return Invalid("prompt and response may take ", prompt, " + ", response, " tokens, the KV cache holds ",
                   limits.cache_tokens, "; give it more (rollout.kv_cache_bytes)");
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const GenerationRequest& request, const RequestLimits& limits) {
  for (int32_t token : request.prompt_tokens) {
    if (token < 0 || token >= limits.vocab_size) {
      return Invalid("prompt token ", token, " is outside the vocabulary of ", limits.vocab_size);
    }
  }
  return absl::OkStatus();
}

// The placeholders of each run of a picture stand side by side, and there are as many as it has features.
absl::Status CheckImages(const GenerationRequest& request, const RequestLimits& limits) {
  const std::vector<int32_t>& tokens = request.prompt_tokens;
  const auto is_placeholder = [&](int32_t token) { return token == limits.image_token_id; };
  const int64_t placeholders = std::count_if(tokens.begin(), tokens.end(), is_placeholder);
  int64_t features = 0;
  for (const models::ProcessedImage& image : request.images) features += image.feature_count;
  if (placeholders != features) {
    return Invalid("the prompt holds ", placeholders, " image placeholders, its ", request.images.size(),
                   " pictures have ", features, " features; they must be equal");
  }
  auto at = tokens.begin();
  for (const models::ProcessedImage& image : request.images) {
    const int64_t longest = limits.image_run_tokens > 0 ? limits.image_run_tokens : image.feature_count;
    for (int64_t left = image.feature_count; left > 0; left -= longest) {
      at = std::find_if(at, tokens.end(), is_placeholder);
      const auto end = std::find_if_not(at, tokens.end(), is_placeholder);
      const int64_t run = std::min(left, longest);
      if (end - at < run) {
        return Invalid("a picture with ", image.feature_count, " features meets a run of ", end - at,
                       " image placeholders; ", run, " must stand side by side");
      }
      at += run;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckParams(const SamplingParams& params, int64_t max_response_tokens) {
  if (!std::isfinite(params.temperature) || params.temperature < 0) {
    return Invalid("temperature is ", params.temperature, "; it must be at least 0 (0: greedy)");
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    return Invalid("top_p is ", params.top_p, "; it must be over 0 and at most 1 (1: off)");
  }
  if (params.top_k < 0) return Invalid("top_k is ", params.top_k, "; it must be at least 0 (0: off)");
  if (params.max_response_tokens < 1 || params.max_response_tokens > max_response_tokens) {
    return Invalid("max_response_tokens is ", params.max_response_tokens, "; it must be between 1 and ",
                   max_response_tokens, " (rollout.max_response_tokens)");
  }
  return absl::OkStatus();
}

absl::Status CheckSamples(absl::Span<const int32_t> samples) {
  if (samples.empty()) return Invalid("no samples are asked for; name at least one");
  std::set<int32_t> seen;
  for (int32_t sample : samples) {
    if (sample < 0) return Invalid("sample ", sample, " is asked for; numbers start at 0");
    if (!seen.insert(sample).second) return Invalid("sample ", sample, " is asked for twice");
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const GenerationRequest& request, const RequestLimits& limits) {
  REIN_RETURN_IF_ERROR(CheckParams(request.params, limits.max_response_tokens));
  REIN_RETURN_IF_ERROR(CheckSamples(request.samples));
  REIN_RETURN_IF_ERROR(CheckLength(request, limits));
  REIN_RETURN_IF_ERROR(CheckTokens(request, limits));
  return CheckImages(request, limits);
}

}  // namespace rein::rollout
