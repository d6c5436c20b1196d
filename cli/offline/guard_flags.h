// Flags of the verbs that put a guard around a policy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "actors/rollout/engine/engine.h"
#include "guard/guardrail.h"
#include "guard/model/guard_model.h"

namespace rein::cli {

struct GuardFlags {
  std::string folder;
  std::string dtype = "float32";
  int64_t max_megapixels = 40;
};
struct RoundFlags {
  std::string refuse_at = "severe", regenerate_at = "minor";  // "never" in place of a level of questions
  guard::GuardrailOptions options;
};

// --guard, which is returned, and --max-megapixels, which needs it. `flags` outlives the parsing.
CLI::Option* AddGuardFlags(CLI::App& verb, GuardFlags& flags);
// --refuse-at, --regenerate-at, --rounds, --give-reason, --refusal-text, --fallback-text; all need `guard`.
void AddRoundFlags(CLI::App& verb, RoundFlags& flags, CLI::Option* guard);

// With pictures from files, whose bytes are not looked at. Errors: NOT_FOUND (names the file).
absl::StatusOr<guard::Question> ReadQuestion(const std::string& text, const std::vector<std::string>& files);

// Shows how far it is, as LoadModelFolder does. Errors: those of GuardModel::Load and ParseDtype.
absl::StatusOr<std::unique_ptr<guard::GuardModel>> LoadGuard(const GuardFlags& flags);

// Errors: INVALID_ARGUMENT (a level that is none; rounds that would all give the same answer).
absl::StatusOr<guard::GuardrailOptions> ToGuardrailOptions(const RoundFlags& flags,
                                                           const rollout::SamplingParams& params);

}  // namespace rein::cli
