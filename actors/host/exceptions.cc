#include "actors/host/exceptions.h"

#include "training/guard.h"
#include "transport/status.h"

namespace rein::host {

absl::Status Guarded(const std::function<absl::Status()>& work) { return training::Guarded(work); }

grpc::Status Answer(const std::function<absl::Status()>& work) { return transport::ToGrpc(Guarded(work)); }

}  // namespace rein::host
