#include "coordinator/swap.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/score_calls.h"
#include "transport/nearest.h"
#include "transport/peer.h"

namespace rein::coordinator {
namespace {

constexpr absl::Duration kLookForCanary = absl::Milliseconds(200);

const ScorerChoice* FindChoice(const std::vector<ScorerChoice>& choices, const std::string& role,
                               const std::string& name) {
  const auto found = std::find_if(choices.begin(), choices.end(), [&](const ScorerChoice& choice) {
    return choice.role == role && (name.empty() || choice.name == name);
  });
  return found == choices.end() ? nullptr : &*found;
}

absl::Status CheckSource(const ScorerChoice& choice) {
  if (!choice.address.empty()) {
    if (transport::IsLoopback(choice.address)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("'", choice.address, "' is not a loopback address; reach other hosts through a tunnel"));
  }
  const std::filesystem::path folder = choice.model;
  if (!folder.is_absolute()) {
    return absl::InvalidArgumentError(absl::StrCat("model '", choice.model, "' must be an absolute path"));
  }
  if (std::filesystem::exists(folder / "config.json")) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("no model folder at ", choice.model, " (config.json is not there); check the path"));
}

}  // namespace

void Swapper::SetCanary(std::vector<v1::Sample> samples) {
  absl::MutexLock lock(&mutex_);
  canary_ = std::move(samples);
}

absl::StatusOr<ScorerChoice> Swapper::Resolve(const v1::SwapRequest& request) {
  if (request.role() != "reward" && request.role() != "cost") {
    return absl::InvalidArgumentError(
        absl::StrCat("only reward and cost can be swapped, not '", request.role(), "'"));
  }
  const std::vector<ScorerChoice> scorers = fleet_->scorers();
  std::vector<std::string> names;
  for (const ScorerChoice& scorer : scorers) {
    if (scorer.role == request.role()) names.push_back(scorer.name);
  }
  if (request.name().empty() && names.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat("the job has several scorers of role ", request.role(),
                                                   "; say which with --name",
                                                   transport::Suggestion("", names)));
  }
  const ScorerChoice* old = FindChoice(scorers, request.role(), request.name());
  if (old == nullptr) {
    return absl::NotFoundError(absl::StrCat("the job has no ", request.role(), " scorer '", request.name(),
                                            "'", transport::Suggestion(request.name(), names)));
  }
  ScorerChoice choice{
      .role = old->role, .name = old->name, .model = request.model(), .address = request.address()};
  if (choice.model.empty() && choice.address.empty()) {
    return absl::InvalidArgumentError("name the new scorer: a model folder or an address");
  }
  REIN_RETURN_IF_ERROR(CheckSource(choice));
  absl::MutexLock lock(&mutex_);
  for (const ScorerChoice& scorer : scorers) generation_ = std::max(generation_, scorer.generation);
  choice.generation = ++generation_;
  return choice;
}

absl::Status Swapper::Swap(const v1::SwapRequest& request, const ProgressFn& progress,
                           const ControlDesk::GoneFn& gone) {
  if (busy_.exchange(true)) {
    return absl::FailedPreconditionError("a swap is under way; wait for its end (rein status)");
  }
  const absl::Cleanup free = [this] { busy_ = false; };
  REIN_ASSIGN_OR_RETURN(const ScorerChoice choice, Resolve(request));
  v1::SwapProgress report;
  const absl::Status status = Try(choice, report, progress, gone);
  if (status.ok()) {
    report.set_stage(v1::SWAP_DONE);
    report.set_message(absl::StrCat(choice.role, " '", choice.name, "' is now ", report.new_digest()));
  } else {
    fleet_->DropCandidates();
    report.set_stage(v1::SWAP_ROLLED_BACK);
    report.set_message(absl::StrCat(status.message(), "; the old scorer goes on"));
    LogWarning(absl::StrCat("swap of ", choice.role, " '", choice.name, "': ", status.ToString()));
  }
  progress(report);
  return absl::OkStatus();
}

absl::Status Swapper::Try(const ScorerChoice& choice, v1::SwapProgress& report, const ProgressFn& progress,
                          const ControlDesk::GoneFn& gone) {
  const auto tell = [&](v1::SwapStage stage, const std::string& message) {
    report.set_stage(stage);
    report.set_message(message);
    progress(report);
  };
  const std::string source = choice.model.empty() ? choice.address : choice.model;
  for (const auto& [slot, target] : fleet_->Ready(choice.role)) {
    if (slot.name == choice.name) report.set_old_digest(target.model.digest());
  }
  tell(v1::SWAP_STARTING, absl::StrCat("starting ", choice.role, " '", choice.name, "' from ", source));
  fleet_->AddCandidates(choice);
  tell(v1::SWAP_LOADING, "loading");
  // Time for every restart that the keeper may try.
  const absl::Time deadline = absl::Now() + absl::Seconds(job_.limits().start_timeout_s());
  REIN_ASSIGN_OR_RETURN(const std::vector<Target> targets, fleet_->AwaitCandidates(deadline, gone));
  report.set_new_digest(targets.front().model.digest());
  tell(v1::SWAP_CANARY, "scoring a canary");
  REIN_RETURN_IF_ERROR(RunCanary(choice, targets, gone));
  tell(v1::SWAP_WAITING_FOR_BOUNDARY, "waiting for the end of the step");
  return desk_->AtBoundary(
      [this, choice] {
        const auto wait = board_->Wait("swap", absl::Now() + absl::Seconds(job_.limits().canary_timeout_s()));
        return take_over_(choice);
      },
      // Nobody takes back what the boundary will do: the answer is waited for in any case.
      [] { return false; });
}

absl::StatusOr<std::vector<v1::Sample>> Swapper::AwaitCanary(const ControlDesk::GoneFn& gone) {
  const absl::Time deadline = absl::Now() + absl::Seconds(job_.limits().progress_timeout_s());
  absl::MutexLock lock(&mutex_);
  const auto there = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !canary_.empty(); };
  while (!mutex_.AwaitWithTimeout(absl::Condition(&there), kLookForCanary)) {
    if (gone()) return absl::CancelledError("whoever asked for the swap went away");
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("no sample was generated that could serve as a canary");
    }
  }
  const size_t size = std::min(canary_.size(), static_cast<size_t>(job_.limits().score_batch()));
  return std::vector<v1::Sample>(canary_.begin(), canary_.begin() + size);
}

absl::Status Swapper::RunCanary(const ScorerChoice& choice, const std::vector<Target>& targets,
                                const ControlDesk::GoneFn& gone) {
  REIN_ASSIGN_OR_RETURN(const std::vector<v1::Sample> samples, AwaitCanary(gone));
  const Column::Kind kind = choice.role == "reward" ? Column::Kind::kReward : Column::Kind::kCost;
  for (const Target& target : targets) {
    ScoreCall call{.target = &target,
                   .fence = fleet_->MakeFence(target, 0, absl::StrCat("canary-", choice.generation)),
                   .samples = {},
                   .timeout = absl::Seconds(job_.limits().canary_timeout_s()),
                   .max_message_bytes = job_.limits().max_message_bytes(),
                   .pictures = pictures_};
    for (const v1::Sample& sample : samples) call.samples.push_back(&sample);
    const absl::StatusOr<Answers> answers = CallActor(kind, call);
    if (!answers.ok()) return WithContext(answers.status(), "canary");
    for (size_t i = 0; i < samples.size(); ++i) {
      if (answers->values[i].ok()) continue;
      return WithContext(answers->values[i].status(), absl::StrCat("canary ", samples[i].sample_id()));
    }
  }
  return absl::OkStatus();
}

}  // namespace rein::coordinator
