#include "coordinator/training_calls.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/all_at_once.h"
#include "coordinator/progress_watch.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::coordinator {
namespace {

using Metrics = std::map<std::string, double>;

// A step as a whole; progress is watched separately.
constexpr absl::Duration kLongestStep = absl::Hours(24);

std::vector<Slot> TrainableSlots(const Fleet& fleet) {
  std::vector<Slot> slots = fleet.Slots("policy");
  for (const Slot& critic : fleet.Slots("critic")) slots.push_back(critic);
  return slots;
}

v1::TrainPolicyRequest PolicyMessage(const ScoredRow& row, const Experience& experience, size_t i) {
  v1::TrainPolicyRequest request;
  v1::PolicySample& sample = *request.mutable_sample();
  *sample.mutable_sample() = row.sample;
  sample.mutable_advantages()->Assign(experience.advantages[i].begin(), experience.advantages[i].end());
  sample.set_token_weight(experience.token_weights[i]);
  return request;
}

v1::TrainCriticRequest CriticMessage(const ScoredRow& row, const std::vector<float>& values,
                                     const std::vector<float>& returns, double token_weight) {
  v1::TrainCriticRequest request;
  v1::CriticSample& sample = *request.mutable_sample();
  *sample.mutable_sample() = row.sample;
  sample.mutable_old_values()->Assign(values.begin(), values.end());
  sample.mutable_returns()->Assign(returns.begin(), returns.end());
  sample.set_token_weight(token_weight);
  return request;
}

// One Train stream: the header, all samples, then progress until the result.
template <typename Request, typename Stub>
absl::StatusOr<Metrics> TrainOnce(const Target& target, const v1::TrainHeader& header, size_t samples,
                                  const std::function<Request(size_t)>& message, absl::Duration timeout) {
  grpc::ClientContext context;
  target.peer.Prepare(context, kLongestStep);
  ProgressWatch watch(&context, timeout);
  Stub stub(target.peer.channel());
  const auto stream = stub.Train(&context);
  Request request;
  *request.mutable_header() = header;
  bool writing = stream->Write(request);
  for (size_t i = 0; writing && i < samples; ++i) writing = stream->Write(message(i));
  stream->WritesDone();
  v1::TrainProgress progress;
  std::optional<Metrics> result;
  while (stream->Read(&progress)) {
    watch.Progress();
    if (!progress.has_result()) continue;
    result.emplace();
    for (const v1::Metric& metric : progress.result().metrics()) (*result)[metric.name()] = metric.value();
  }
  const absl::Status status = transport::FinishStatus(target.peer, stream->Finish());
  if (watch.timed_out()) {
    return absl::DeadlineExceededError(
        absl::StrCat(KeyOf(target.address), " has made no progress in training for ",
                     absl::FormatDuration(timeout), " (limits.progress_timeout_s)"));
  }
  REIN_RETURN_IF_ERROR(status);
  if (!result.has_value())
    return absl::InternalError(absl::StrCat(KeyOf(target.address), ": no result came"));
  return *std::move(result);
}

// Repeats `call` on the slot while the connection is to blame and the same process is there: state may change
// hands only through a rollback.
template <typename T>
absl::StatusOr<T> Persist(Fleet& fleet, const Slot& slot,
                          const std::function<absl::StatusOr<T>(const Target&)>& call) {
  CallFailures failures;
  REIN_ASSIGN_OR_RETURN(Target target, fleet.AwaitReady(slot));
  while (true) {
    absl::StatusOr<T> result = call(target);
    REIN_RETURN_IF_ERROR(fleet.Interruption());
    if (result.ok()) return result;
    if (!absl::IsUnavailable(result.status()) && !absl::IsCancelled(result.status())) {
      return WithContext(result.status(), ToString(slot));
    }
    LogWarning(absl::StrCat(ToString(slot), ": ", result.status().ToString(), "; asked again"));
    REIN_RETURN_IF_ERROR(failures.Handle(fleet, slot, target, result.status()));
    REIN_ASSIGN_OR_RETURN(target, fleet.AwaitReady(slot));
  }
}

template <typename Response, typename Request>
absl::StatusOr<Response> CallState(const Target& target,
                                   grpc::Status (v1::State::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&, Response*),
                                   const Request& request, absl::Duration timeout) {
  const auto stub = v1::State::NewStub(target.peer.channel());
  return transport::Call<v1::State::Stub, Request, Response>(target.peer, *stub, method, request, timeout);
}

template <typename T>
using TrainableCall = std::function<absl::StatusOr<T>(const Slot&, const Target&)>;

// Calls all holders of trainable state at the same time, each wait named "SLOT: WHAT". Answers in their
// order.
template <typename T>
absl::StatusOr<std::vector<T>> CallAll(Fleet& fleet, StatusBoard& board, const std::vector<Slot>& slots,
                                       const std::string& what, absl::Duration timeout,
                                       const TrainableCall<T>& call) {
  std::vector<T> answers(slots.size());
  std::vector<std::function<absl::Status()>> calls;
  for (size_t i = 0; i < slots.size(); ++i) {
    calls.push_back([&, i]() -> absl::Status {
      const auto wait = board.Wait(absl::StrCat(ToString(slots[i]), ": ", what), absl::Now() + timeout);
      const std::function<absl::StatusOr<T>(const Target&)> on_target = [&](const Target& target) {
        return call(slots[i], target);
      };
      REIN_ASSIGN_OR_RETURN(answers[i], Persist(fleet, slots[i], on_target));
      return absl::OkStatus();
    });
  }
  REIN_RETURN_IF_ERROR(AllAtOnce(calls));
  return answers;
}

// Values and returns that a critic trains on.
struct CriticColumns {
  std::function<const std::vector<float>&(size_t row)> values, returns;
};

CriticColumns ColumnsOf(const v1::Job& job, const std::string& critic, absl::Span<const ScoredRow> rows,
                        const Experience& experience) {
  if (critic == "reward") {
    return {.values = [rows](size_t i) -> const std::vector<float>& { return rows[i].reward_values; },
            .returns = [&experience](size_t i) -> const std::vector<float>& {
              return experience.reward_returns[i];
            }};
  }
  int c = 0;
  while (job.constraints(c).name() != critic) ++c;
  return {.values = [rows, c](size_t i) -> const std::vector<float>& { return rows[i].cost_values[c]; },
          .returns = [&experience, c](size_t i) -> const std::vector<float>& {
            return experience.cost_returns[c][i];
          }};
}

}  // namespace

absl::StatusOr<TrainOutcome> TrainingCalls::Train(absl::Span<const ScoredRow> rows,
                                                  const Experience& experience,
                                                  const v1::WeightVersion& version) {
  const absl::Duration timeout = absl::Seconds(job_.limits().progress_timeout_s());
  const TrainableCall<Metrics> call = [&](const Slot& slot, const Target& target) {
    v1::TrainHeader header;
    *header.mutable_fence() = fleet_->MakeFence(
        target, version.number(),
        absl::StrCat("train-", version.coordinator_epoch(), "-", version.number(), "-", ToString(slot)));
    header.set_samples(static_cast<int32_t>(rows.size()));
    *header.mutable_version() = version;
    header.set_total_steps(job_.steps());
    if (slot.role == "policy") {
      return TrainOnce<v1::TrainPolicyRequest, v1::Policy::Stub>(
          target, header, rows.size(), [&](size_t i) { return PolicyMessage(rows[i], experience, i); },
          timeout);
    }
    const CriticColumns columns = ColumnsOf(job_, slot.name, rows, experience);
    return TrainOnce<v1::TrainCriticRequest, v1::Critic::Stub>(
        target, header, rows.size(),
        [&](size_t i) {
          return CriticMessage(rows[i], columns.values(i), columns.returns(i), experience.token_weights[i]);
        },
        timeout);
  };
  const std::vector<Slot> slots = TrainableSlots(*fleet_);
  REIN_ASSIGN_OR_RETURN(std::vector<Metrics> metrics,
                        CallAll(*fleet_, *board_, slots, "train", timeout, call));
  TrainOutcome outcome;
  for (size_t i = 0; i < slots.size(); ++i) {
    Metrics& place = slots[i].role == "policy" ? outcome.policy : outcome.critics[slots[i].name];
    place = std::move(metrics[i]);
  }
  return outcome;
}

absl::StatusOr<std::vector<v1::SavedFile>> TrainingCalls::Save(const std::filesystem::path& folder,
                                                               int64_t step) {
  const absl::Duration timeout = absl::Seconds(job_.limits().progress_timeout_s());
  const TrainableCall<v1::SaveStateResponse> call = [&](const Slot&, const Target& target) {
    v1::SaveStateRequest request;
    // Unique per attempt: a folder that was given up must be written anew.
    *request.mutable_fence() =
        fleet_->MakeFence(target, step, absl::StrCat("save-", step, "-", absl::ToUnixNanos(absl::Now())));
    request.set_folder(folder.string());
    return CallState(target, &v1::State::Stub::Save, request, timeout);
  };
  REIN_ASSIGN_OR_RETURN(const std::vector<v1::SaveStateResponse> responses,
                        CallAll(*fleet_, *board_, TrainableSlots(*fleet_), "save", timeout, call));
  std::vector<v1::SavedFile> files;
  for (const v1::SaveStateResponse& response : responses) {
    files.insert(files.end(), response.files().begin(), response.files().end());
  }
  return files;
}

absl::Status TrainingCalls::Load(const std::filesystem::path& folder, absl::Span<const v1::SavedFile> files,
                                 const v1::WeightVersion& version) {
  const absl::Duration timeout = absl::Seconds(job_.limits().progress_timeout_s());
  const TrainableCall<v1::LoadStateResponse> call = [&](const Slot& slot, const Target& target) {
    v1::LoadStateRequest request;
    *request.mutable_fence() = fleet_->MakeFence(
        target, version.number(), absl::StrCat("load-", version.coordinator_epoch(), "-", version.number()));
    *request.mutable_version() = version;
    request.set_folder(folder.string());
    const std::string prefix = absl::StrCat(slot.role, "-", slot.name, "/");
    for (const v1::SavedFile& file : files) {
      if (absl::StartsWith(file.path(), prefix)) *request.add_files() = file;
    }
    return CallState(target, &v1::State::Stub::Load, request, timeout);
  };
  return CallAll(*fleet_, *board_, TrainableSlots(*fleet_), "load", timeout, call).status();
}

}  // namespace rein::coordinator
