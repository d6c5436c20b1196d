#include "data/harm_categories.h"

namespace rein::data {
namespace {

constexpr absl::string_view kHarmCategories[] = {"animal_abuse",
                                                 "dangerous_behavior",
                                                 "deception_in_personal_relationships",
                                                 "discriminatory_depictions",
                                                 "environmental_damage",
                                                 "false_information",
                                                 "financial_and_academic_fraud",
                                                 "hacking_or_digital_crime",
                                                 "harmful_health_content",
                                                 "horror_and_gore",
                                                 "identity_misuse_and_impersonation",
                                                 "insulting_and_harassing_behavior",
                                                 "pornographic_content",
                                                 "privacy_invasion_and_surveillance",
                                                 "psychological_harm_and_manipulation",
                                                 "psychological_horror_and_dark_themes",
                                                 "sensitive_information_in_key_areas",
                                                 "sexual_crimes",
                                                 "terrorism_or_extremism",
                                                 "violence_and_physical_harm"};
constexpr absl::string_view kHarmLevels[] = {"safe", "minor", "moderate", "severe"};

}  // namespace

absl::Span<const absl::string_view> HarmCategories() { return kHarmCategories; }

absl::Span<const absl::string_view> HarmLevels() { return kHarmLevels; }

}  // namespace rein::data
