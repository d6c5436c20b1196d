#include "coordinator/generation.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/progress_watch.h"
#include "google/protobuf/util/message_differencer.h"
#include "rein/v1/rollout.grpc.pb.h"

namespace rein::coordinator {
namespace {

// One request names at most this many prompts; longer lists are sent one after the other.
constexpr size_t kPromptsPerCall = 1024;
// A stream as a whole; progress is watched separately.
constexpr absl::Duration kLongestCall = absl::Hours(24);

bool IsFatal(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) || absl::IsUnimplemented(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

}  // namespace

absl::Status Generation::Run(const GenerationWork& work, const GenerationEvents& events) {
  const std::vector<Slot> slots = fleet_->Slots("rollout");
  std::vector<GenerationWork> shares(slots.size(),
                                     {.prompts = {}, .sampling = work.sampling, .step = work.step});
  for (size_t i = 0; i < work.prompts.size(); ++i) {
    shares[i * slots.size() / work.prompts.size()].prompts.push_back(work.prompts[i]);
  }
  std::vector<absl::Status> results(slots.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < slots.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = RunReplica(slots[i], shares[i], events); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : results) REIN_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status Generation::RunReplica(const Slot& slot, const GenerationWork& work,
                                    const GenerationEvents& events) {
  for (size_t begin = 0; begin < work.prompts.size(); begin += kPromptsPerCall) {
    const size_t end = std::min(begin + kPromptsPerCall, work.prompts.size());
    const std::vector<v1::PromptSpec> part(work.prompts.begin() + begin, work.prompts.begin() + end);
    CallFailures failures;
    while (!Left(part, events, /*whole=*/false).empty()) {
      REIN_ASSIGN_OR_RETURN(const Target target, fleet_->AwaitReady(slot));
      absl::Status status =
          Call(slot, target, work, Left(part, events, /*whole=*/job_.deterministic()), events);
      if (status.ok() && Left(part, events, /*whole=*/false).empty()) break;
      REIN_RETURN_IF_ERROR(fleet_->Interruption());
      if (status.ok()) status = absl::UnavailableError("the stream ended although samples are missing");
      // It sends heartbeats, but nothing will come: only another process helps.
      if (absl::IsDeadlineExceeded(status)) fleet_->ReportLost(slot, target, std::string(status.message()));
      if (IsFatal(status)) return WithContext(status, ToString(slot));
      // Restarted since the last publication, or left out of it.
      if (absl::IsFailedPrecondition(status)) status = weights_->CatchUp(slot, target);
      if (status.ok()) continue;
      LogWarning(absl::StrCat(ToString(slot), ": ", status.ToString(), "; its list is sent again"));
      REIN_RETURN_IF_ERROR(failures.Handle(*fleet_, slot, target, status));
    }
  }
  return absl::OkStatus();
}

std::vector<v1::PromptSpec> Generation::Left(const std::vector<v1::PromptSpec>& prompts,
                                             const GenerationEvents& events, bool whole) const {
  if (whole) return prompts;
  std::vector<v1::PromptSpec> left;
  for (const v1::PromptSpec& prompt : prompts) {
    const std::vector<int32_t> missing = events.missing(prompt);
    if (missing.empty()) continue;
    v1::PromptSpec& one = left.emplace_back(prompt);
    one.mutable_samples()->Assign(missing.begin(), missing.end());
  }
  return left;
}

absl::Status Generation::Call(const Slot& slot, const Target& target, const GenerationWork& work,
                              const std::vector<v1::PromptSpec>& prompts, const GenerationEvents& events) {
  v1::GenerateRequest request;
  *request.mutable_fence() =
      fleet_->MakeFence(target, work.step, absl::StrCat("generate-", work.step, "-", ToString(slot)));
  request.mutable_prompts()->Assign(prompts.begin(), prompts.end());
  *request.mutable_weights() = weights_->version();
  *request.mutable_sampling() = work.sampling;
  const absl::Duration timeout = absl::Seconds(job_.limits().progress_timeout_s());
  const auto wait =
      board_->Wait(absl::StrCat(ToString(slot), ": ", prompts.size(), " prompts"), absl::Now() + timeout);
  grpc::ClientContext context;
  target.peer.Prepare(context, kLongestCall);
  ProgressWatch watch(&context, timeout);
  const auto stub = v1::Rollout::NewStub(target.peer.channel());
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    watch.Progress();
    if (response.has_sample()) events.sample(std::move(*response.mutable_sample()));
    if (response.has_refusal()) events.refusal(response.refusal());
  }
  const absl::Status status = transport::FinishStatus(target.peer, reader->Finish());
  if (!watch.timed_out()) return status;
  return absl::DeadlineExceededError(absl::StrCat(ToString(slot), " has made no progress for ",
                                                  absl::FormatDuration(timeout),
                                                  " (limits.progress_timeout_s)"));
}

}  // namespace rein::coordinator
