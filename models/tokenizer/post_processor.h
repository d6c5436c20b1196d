// Special tokens around a text.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/json.h"

namespace rein::models {

struct PostProcessor {
  std::vector<int32_t> before, after;
};

// The "post_processor" of tokenizer.json for a single text; may be missing: TemplateProcessing,
// RobertaProcessing, BertProcessing, ByteLevel (which changes offsets only), Sequence. Ids are below `size`.
// Errors: INVALID_ARGUMENT, UNIMPLEMENTED (another kind, or more than one that adds tokens).
absl::StatusOr<PostProcessor> ParsePostProcessor(const Fields& root, int32_t size);

}  // namespace rein::models
