#include "guard/verdict.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace rein::guard {
namespace {

constexpr absl::string_view kNames[kLevels] = {"safe", "minor", "moderate", "severe"};

}  // namespace

absl::string_view SeverityName(Severity severity) { return kNames[static_cast<int>(severity)]; }

std::optional<Severity> ParseSeverity(absl::string_view name) {
  const auto* const found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<Severity>(found - std::begin(kNames));
}

std::string VerdictText(const Verdict& verdict) {
  const int level = std::max(1, static_cast<int>(verdict.severity));
  return absl::StrCat(
      SeverityName(verdict.severity), verdict.categories.empty() ? "" : ": ",
      absl::StrJoin(verdict.categories, ", "),
      absl::StrFormat(" (p(%s) = %.2f)", kNames[level], verdict.at_or_above[static_cast<size_t>(level - 1)]));
}

}  // namespace rein::guard
