#include "models/config_fields.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {

absl::StatusOr<Activation> ReadActivation(const Fields& fields, const std::string& key,
                                          const std::string& fallback) {
  REIN_ASSIGN_OR_RETURN(const std::string name, fields.String(key, fallback));
  auto activation = ParseActivation(name);
  if (!activation.ok()) return WithContext(activation.status(), absl::StrCat(fields.where(), ": ", key));
  return *activation;
}

absl::Status RefuseDropout(const Fields& fields) {
  REIN_ASSIGN_OR_RETURN(const double dropout, fields.Number("attention_dropout", 0, 0, 1));
  if (dropout == 0) return absl::OkStatus();
  return fields.Unsupported("attention_dropout", absl::StrCat(dropout), "0");
}

}  // namespace rein::models
