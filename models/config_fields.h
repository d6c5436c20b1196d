// Settings that several parts of a configuration share.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/activation.h"
#include "models/json.h"

namespace rein::models {

// Errors: UNIMPLEMENTED (file, key, the known names).
absl::StatusOr<Activation> ReadActivation(const Fields& fields, const std::string& key,
                                          const std::string& fallback);

// Errors: UNIMPLEMENTED (attention_dropout over 0).
absl::Status RefuseDropout(const Fields& fields);

// The id of a special token, which the vocabulary must have. Errors: INVALID_ARGUMENT (also where the key is
// missing and the fallback is outside the vocabulary).
absl::StatusOr<int64_t> ReadTokenId(const Fields& fields, const std::string& key, int64_t fallback,
                                    int64_t vocab_size);

}  // namespace rein::models
