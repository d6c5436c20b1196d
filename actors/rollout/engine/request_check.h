// What the engine can take.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "actors/rollout/engine/engine.h"

namespace rein::rollout {

struct RequestLimits {
  int64_t max_prompt_tokens = 0;
  int64_t max_response_tokens = 0;
  int64_t max_positions = 0;  // of the model
  int64_t cache_tokens = 0;   // that all blocks together hold
  int64_t vocab_size = 0;
  int64_t image_token_id = -1;
  int64_t image_run_tokens = 0;  // of the model's shape
};

// Errors of all: INVALID_ARGUMENT, naming what the request has and what is allowed.
absl::Status CheckParams(const SamplingParams& params, int64_t max_response_tokens);
// At least one number, none negative, none twice.
absl::Status CheckSamples(absl::Span<const int32_t> samples);
absl::Status CheckRequest(const GenerationRequest& request, const RequestLimits& limits);

}  // namespace rein::rollout
