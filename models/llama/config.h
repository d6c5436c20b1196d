// The text settings of a configuration, in every spelling, for all families with a Llama-like decoder.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "models/json.h"
#include "models/llama/decoder.h"

namespace rein::models {

// Reads what `text` holds into `config`, whose values on entry are the family's defaults (kv_heads 0: as many
// as heads; head_dim: hidden / heads). `rope_types` are the spellings of unscaled rotary positions that the
// family knows; every other one is refused by its name. Errors: INVALID_ARGUMENT (impossible value),
// UNIMPLEMENTED (rope scaling, activation, dropout).
absl::Status ReadLlamaConfig(const Fields& text, absl::Span<const char* const> rope_types,
                             LlamaConfig& config);

// The same for text models of the type "llama", which may also have biases in attention and feed-forward.
absl::Status ReadOwnLlamaConfig(const Fields& text, LlamaConfig& config);

// config.json as a folder that Rein writes holds it: everything of `json` kept, rope settings of the text
// model in the old and the new spelling, the dtype given.
std::string RenderConfigJson(const Json& json, const LlamaConfig& text, const std::string& dtype);

}  // namespace rein::models
