#include "cli/offline/guard_flags.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/offline/load_progress.h"
#include "models/dtype.h"

namespace rein::cli {
namespace {

constexpr char kNever[] = "never";

absl::StatusOr<guard::Severity> ParseLevel(const std::string& flag, const std::string& name,
                                           const char* also) {
  const std::optional<guard::Severity> level = guard::ParseSeverity(name);
  if (level && *level != guard::Severity::kSafe) return *level;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " is '", name, "'; minor, moderate, severe", also, " are possible"));
}

}  // namespace

CLI::Option* AddGuardFlags(CLI::App& verb, GuardFlags& flags) {
  CLI::Option* guard = verb.add_option("--guard", flags.folder, "folder of a guard (rein train guard)");
  verb.add_option("--max-megapixels", flags.max_megapixels,
                  "of a picture that the guard looks at; what is larger is not let through")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->needs(guard);
  return guard;
}

void AddRoundFlags(CLI::App& verb, RoundFlags& flags, CLI::Option* guard) {
  CLI::Option* const options[] = {
      verb.add_option("--refuse-at", flags.refuse_at,
                      "level from which on a question is refused: minor, moderate, severe, never"),
      verb.add_option("--regenerate-at", flags.regenerate_at,
                      "level from which on an answer is generated again: minor, moderate, severe"),
      verb.add_option("--rounds", flags.options.rounds, "of generation, the first included")
          ->check(CLI::Range(1, 100)),
      verb.add_option("--refusal-text", flags.options.refusal, "in place of an answer to a refused question"),
      verb.add_option("--fallback-text", flags.options.fallback, "where no round gave an answer that passes"),
  };
  for (CLI::Option* option : options) option->capture_default_str()->needs(guard);
  verb.add_flag("--give-reason", flags.options.give_reason,
                "a prompt that is generated again says why the last answer was held back")
      ->needs(guard);
}

absl::StatusOr<guard::Question> ReadQuestion(const std::string& text, const std::vector<std::string>& files) {
  guard::Question question{.id = "question", .text = text};
  for (const std::string& file : files) {
    REIN_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file));
    question.pictures.push_back({std::move(bytes), file});
  }
  return question;
}

absl::StatusOr<std::unique_ptr<guard::GuardModel>> LoadGuard(const GuardFlags& flags) {
  guard::GuardModelOptions options;
  REIN_ASSIGN_OR_RETURN(options.load.dtype, models::ParseDtype(flags.dtype));
  options.load.progress = ShowLoading(flags.folder);
  options.images.max_pixels = flags.max_megapixels * 1000 * 1000;
  return guard::GuardModel::Load(flags.folder, options);
}

absl::StatusOr<guard::GuardrailOptions> ToGuardrailOptions(const RoundFlags& flags,
                                                           const rollout::SamplingParams& params) {
  guard::GuardrailOptions options = flags.options;
  options.refuse_at = std::nullopt;
  if (flags.refuse_at != kNever) {
    REIN_ASSIGN_OR_RETURN(options.refuse_at, ParseLevel("--refuse-at", flags.refuse_at, ", never"));
  }
  REIN_ASSIGN_OR_RETURN(options.regenerate_at, ParseLevel("--regenerate-at", flags.regenerate_at, ""));
  options.seed = params.seed;
  if (params.temperature == 0 && options.rounds > 1 && !options.give_reason) {
    return absl::InvalidArgumentError(
        "greedy answers are the same in every round: set --temperature over 0, --give-reason or --rounds 1");
  }
  REIN_RETURN_IF_ERROR(guard::CheckOptions(options));
  return options;
}

}  // namespace rein::cli
