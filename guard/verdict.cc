#include "guard/verdict.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "data/harm_categories.h"

namespace rein::guard {

absl::string_view SeverityName(Severity severity) {
  return data::HarmLevels()[static_cast<size_t>(severity)];
}

std::optional<Severity> ParseSeverity(absl::string_view name) {
  const auto names = data::HarmLevels();
  const auto* const found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Severity>(found - names.begin());
}

Verdict NotModerated(std::string reason) {
  return {.severity = Severity::kSevere, .at_or_above = {1, 1, 1}, .not_moderated = std::move(reason)};
}

std::string VerdictText(const Verdict& verdict) {
  if (!verdict.not_moderated.empty()) return absl::StrCat("could not be moderated: ", verdict.not_moderated);
  const int level = std::max(1, static_cast<int>(verdict.severity));
  return absl::StrCat(SeverityName(verdict.severity), verdict.categories.empty() ? "" : ": ",
                      absl::StrJoin(verdict.categories, ", "),
                      absl::StrFormat(" (p(%s) = %.2f)", SeverityName(static_cast<Severity>(level)),
                                      verdict.at_or_above[static_cast<size_t>(level - 1)]));
}

}  // namespace rein::guard
