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

absl::StatusOr<int64_t> ReadTokenId(const Fields& fields, const std::string& key, int64_t fallback,
                                    int64_t vocab_size) {
  REIN_ASSIGN_OR_RETURN(const int64_t id, fields.Int(key, fallback, 0, vocab_size - 1));
  if (id < vocab_size) return id;
  return fields.Error(key, absl::StrCat("is missing and its default, ", fallback,
                                        ", is outside the vocabulary of ", vocab_size));
}

}  // namespace rein::models
