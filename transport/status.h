// The one mapping between absl::Status and grpc::Status: codes are equal, messages are kept.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace rein::transport {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace rein::transport
