// What the engine knows of a prompt and of each of its samples.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/rollout/engine/engine.h"

namespace rein::rollout {

// A request and its prefix: the cached keys and values of the prompt, from which its samples start.
struct Prompt {
  GenerationRequest request;
  // Samples that wait; the prefix is kept while there are any.
  int64_t waiting = 0;
  // Of the whole prompt, the last one partly filled; empty while there is no prefix.
  std::vector<int32_t> blocks;
  at::Tensor last_hidden;  // [1, hidden], of the last prompt token
  // Of the prompt's pictures; whatever is computed after the prompt stands that much off its index.
  int64_t position_offset = 0;

  int64_t length() const { return static_cast<int64_t>(request.prompt_tokens.size()); }
};

struct Sequence {
  std::shared_ptr<Prompt> prompt;
  int32_t sample = 0;
  uint64_t key = 0;  // of its random stream
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  Version first_version, last_version;

  // Blocks of prompt and response; the first ones may be shared with the prefix and with other samples.
  std::vector<int32_t> blocks;
  // Tokens of prompt and response whose keys and values are in the blocks.
  int64_t computed = 0;

  int64_t known() const { return prompt->length() + static_cast<int64_t>(tokens.size()); }
  int64_t pending() const { return known() - computed; }
  bool full() const {
    return static_cast<int64_t>(tokens.size()) >= prompt->request.params.max_response_tokens;
  }
};

}  // namespace rein::rollout
