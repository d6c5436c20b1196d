// Records of the guardrail as JSON objects.
#pragma once

#include "absl/status/statusor.h"
#include "guard/guardrail.h"
#include "nlohmann/json.hpp"

namespace rein::guard {

// {"severity", "at_or_above": [3], "categories": [...]}, with "not_moderated": reason where it was not.
nlohmann::json ToJson(const Verdict& verdict);

// {"id", "question_verdict", "rounds": [{"prompt", "seed", "answer", "verdict"}], "end", "answer"}.
nlohmann::json ToJson(const Record& record);

// Of such objects; what else they hold is passed over. Errors: INVALID_ARGUMENT (says which key).
absl::StatusOr<Verdict> VerdictFromJson(const nlohmann::json& json);
absl::StatusOr<Record> RecordFromJson(const nlohmann::json& json);

}  // namespace rein::guard
