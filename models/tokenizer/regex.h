// A regular expression over UTF-8, as pre-tokenizers use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::models {

// Thread-safe after Compile.
class Regex {
 public:
  // Errors: INVALID_ARGUMENT (pattern that PCRE2 refuses: its message and place).
  static absl::StatusOr<Regex> Compile(const std::string& pattern);

  // Cuts valid UTF-8 into matches and what lies between them, in order, nothing lost; appends to `pieces`. A
  // text on which the pattern exceeds its limits is cut no further.
  void Split(absl::string_view text, std::vector<absl::string_view>& pieces) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  std::shared_ptr<const Code> code_;
};

}  // namespace rein::models
