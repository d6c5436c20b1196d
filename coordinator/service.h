// The coordinator's front: registration, status, control. Handlers compute nothing themselves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/control_desk.h"
#include "coordinator/registry.h"
#include "coordinator/status_board.h"
#include "coordinator/swap.h"
#include "rein/v1/coordinator.grpc.pb.h"

namespace rein::coordinator {

class CoordinatorService : public v1::Coordinator::Service {
 public:
  // `commit`: commits a checkpoint, on the job thread, and returns its folder. All pointers outlive the
  // service. The swapper comes later (SetSwapper): until then swaps are refused.
  using CommitFn = std::function<absl::StatusOr<std::string>()>;
  CoordinatorService(const v1::Limits& limits, Registry* registry, StatusBoard* board, ControlDesk* desk,
                     CommitFn commit);

  void SetSwapper(Swapper* swapper) { swapper_ = swapper; }

  grpc::Status Register(grpc::ServerContext* context, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::JobStatusRequest* request,
                         v1::JobStatus* response) override;
  grpc::Status WatchStatus(grpc::ServerContext* context, const v1::JobStatusRequest* request,
                           grpc::ServerWriter<v1::JobStatus>* writer) override;
  grpc::Status Swap(grpc::ServerContext* context, const v1::SwapRequest* request,
                    grpc::ServerWriter<v1::SwapProgress>* writer) override;
  grpc::Status Pause(grpc::ServerContext* context, const v1::ControlRequest* request,
                     v1::ControlResponse* response) override;
  grpc::Status Resume(grpc::ServerContext* context, const v1::ControlRequest* request,
                      v1::ControlResponse* response) override;
  grpc::Status Checkpoint(grpc::ServerContext* context, const v1::ControlRequest* request,
                          v1::ControlResponse* response) override;
  grpc::Status Stop(grpc::ServerContext* context, const v1::ControlRequest* request,
                    v1::ControlResponse* response) override;

 private:
  v1::JobStatus Status(bool without_job) const;
  void FillResponse(const std::string& message, v1::ControlResponse* response) const;

  const v1::Limits limits_;
  Registry* const registry_;
  StatusBoard* const board_;
  ControlDesk* const desk_;
  const CommitFn commit_;
  std::atomic<Swapper*> swapper_ = nullptr;
};

}  // namespace rein::coordinator
