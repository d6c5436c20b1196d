// The text settings of Mistral, whose decoder is Llama's.
#pragma once

#include "absl/status/status.h"
#include "models/json.h"
#include "models/llama/decoder.h"

namespace rein::models {

// Reads what `text` holds into `config`, with the defaults of transformers' MistralConfig. Errors: as
// ReadLlamaConfig; UNIMPLEMENTED (a sliding window that sequences can outgrow: every token attends to all
// before it).
absl::Status ReadMistralConfig(const Fields& text, LlamaConfig& config);

}  // namespace rein::models
