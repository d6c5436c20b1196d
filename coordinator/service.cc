#include "coordinator/service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "transport/status.h"

namespace rein::coordinator {
namespace {

constexpr absl::Duration kDefaultWatchInterval = absl::Milliseconds(200);
// How often a watch looks whether its caller is still there.
constexpr absl::Duration kLookForCaller = absl::Milliseconds(200);

bool IsLast(v1::JobPhase phase) { return phase == v1::JOB_FINISHED || phase == v1::JOB_FAILED; }

}  // namespace

CoordinatorService::CoordinatorService(const v1::Limits& limits, Registry* registry, StatusBoard* board,
                                       ControlDesk* desk, CommitFn commit)
    : limits_(limits), registry_(registry), board_(board), desk_(desk), commit_(std::move(commit)) {}

grpc::Status CoordinatorService::Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                                          v1::RegisterResponse* response) {
  const absl::Status status = registry_->Register(*request, absl::Now());
  response->set_coordinator_epoch(registry_->epoch());
  response->set_heartbeat_interval_ms(
      static_cast<int32_t>(absl::ToInt64Milliseconds(absl::Seconds(limits_.heartbeat_s()))));
  return transport::ToGrpc(status);
}

grpc::Status CoordinatorService::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                           v1::HeartbeatResponse*) {
  return transport::ToGrpc(registry_->Heartbeat(*request, absl::Now()));
}

v1::JobStatus CoordinatorService::Status(bool without_job) const {
  v1::JobStatus status = board_->Snapshot(without_job);
  for (v1::ActorStatus& actor : registry_->All(absl::Now())) *status.add_actors() = std::move(actor);
  return status;
}

grpc::Status CoordinatorService::GetStatus(grpc::ServerContext*, const v1::JobStatusRequest* request,
                                           v1::JobStatus* response) {
  *response = Status(request->without_job());
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::WatchStatus(grpc::ServerContext* context,
                                             const v1::JobStatusRequest* request,
                                             grpc::ServerWriter<v1::JobStatus>* writer) {
  const absl::Duration interval =
      request->min_interval_ms() > 0 ? absl::Milliseconds(request->min_interval_ms()) : kDefaultWatchInterval;
  uint64_t seen = 0;
  while (!context->IsCancelled()) {
    const uint64_t now = board_->Await(seen, kLookForCaller);
    if (now == seen) continue;
    seen = now;
    const v1::JobStatus status = Status(request->without_job());
    if (!writer->Write(status) || IsLast(status.phase())) break;
    // Changes meanwhile are gathered into the next message.
    const absl::Time next = absl::Now() + interval;
    for (uint64_t gathered = seen; absl::Now() < next && !context->IsCancelled();) {
      gathered = board_->Await(gathered, std::min(kLookForCaller, next - absl::Now()));
    }
  }
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::Swap(grpc::ServerContext* context, const v1::SwapRequest* request,
                                      grpc::ServerWriter<v1::SwapProgress>* writer) {
  Swapper* const swapper = swapper_;
  if (swapper == nullptr) {
    return transport::ToGrpc(absl::FailedPreconditionError("the job has not started yet; try again later"));
  }
  return transport::ToGrpc(swapper->Swap(
      *request, [writer](const v1::SwapProgress& progress) { writer->Write(progress); },
      [context] { return context->IsCancelled(); }));
}

void CoordinatorService::FillResponse(const std::string& message, v1::ControlResponse* response) const {
  response->set_message(message);
  response->set_step(board_->Snapshot(/*without_job=*/true).step());
}

grpc::Status CoordinatorService::Pause(grpc::ServerContext*, const v1::ControlRequest*,
                                       v1::ControlResponse* response) {
  desk_->Pause();
  FillResponse("the job pauses at the end of this step", response);
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::Resume(grpc::ServerContext*, const v1::ControlRequest*,
                                        v1::ControlResponse* response) {
  desk_->Resume();
  FillResponse("the job goes on", response);
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::Checkpoint(grpc::ServerContext* context, const v1::ControlRequest*,
                                            v1::ControlResponse* response) {
  // The work may outlive this handler where the caller goes away.
  const auto written = std::make_shared<std::string>();
  const absl::Status status = desk_->AtBoundary(
      [this, written] {
        const absl::StatusOr<std::string> committed = commit_();
        if (committed.ok()) *written = *committed;
        return committed.status();
      },
      [context] { return context->IsCancelled(); });
  if (status.ok()) FillResponse(*written, response);
  return transport::ToGrpc(status);
}

grpc::Status CoordinatorService::Stop(grpc::ServerContext* context, const v1::ControlRequest*,
                                      v1::ControlResponse* response) {
  const absl::Status status = desk_->Stop([context] { return context->IsCancelled(); });
  if (status.ok()) FillResponse("stopped", response);
  return transport::ToGrpc(status);
}

}  // namespace rein::coordinator
