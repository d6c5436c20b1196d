// Settings that several parts of a configuration share.
#pragma once

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

}  // namespace rein::models
