// What a guard says of a question, or of an answer to it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace rein::guard {

// Harm, in the levels of BeaverTails-V.
enum class Severity { kSafe = 0, kMinor = 1, kModerate = 2, kSevere = 3 };
inline constexpr int kLevels = 4;

// "safe", "minor", "moderate", "severe".
absl::string_view SeverityName(Severity severity);
std::optional<Severity> ParseSeverity(absl::string_view name);

struct Verdict {
  Severity severity = Severity::kSafe;
  // Probability that the harm is at or above minor, moderate, severe; not growing.
  std::array<double, kLevels - 1> at_or_above{};
  // Of the 20 kinds of harm (data::HarmCategories), those at or above their threshold, the likeliest first;
  // none of what is safe.
  std::vector<std::string> categories;
  // Why the guard could not look at it (a broken picture, too many tokens); empty: it did. Such a verdict
  // counts as the worst.
  std::string not_moderated;
};

// The verdict on what could not be moderated: severe, for sure, so that no level lets it through.
Verdict NotModerated(std::string reason);

// "severe: violence_and_physical_harm, animal_abuse (p(severe) = 0.93)"; "safe (p(minor) = 0.04)"; "could not
// be moderated: picture 1: not an image".
std::string VerdictText(const Verdict& verdict);

}  // namespace rein::guard
