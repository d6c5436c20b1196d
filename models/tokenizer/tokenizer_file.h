// tokenizer.json read in one pass: the vocabulary, which is most of it, as a list, the rest as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/json.h"

namespace rein::models {

struct VocabularyEntry {
  std::string token;
  int64_t id = -1;  // -1: no whole number, or a negative one
};

struct TokenizerFile {
  Json json;  // its model.vocab is empty where it is an object
  std::vector<VocabularyEntry> vocabulary;
};

// `where` names the file in messages. Errors: RESOURCE_EXHAUSTED (over 64 MiB), INVALID_ARGUMENT (no JSON
// object, nested too deeply, an object besides the vocabulary with too many keys).
absl::StatusOr<TokenizerFile> ParseTokenizerFile(const std::string& text, const std::string& where);

}  // namespace rein::models
