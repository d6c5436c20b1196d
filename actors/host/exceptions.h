// The border of the actor process: exceptions become a Status here and nowhere else in actors/.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace rein::host {

// Runs `work`. RESOURCE_EXHAUSTED: out of memory; INTERNAL: any other exception (LibTorch, OpenCV, Arrow,
// standard library), with its message and without its backtrace.
absl::Status Guarded(const std::function<absl::Status()>& work);

// The same at the end of an RPC handler.
grpc::Status Answer(const std::function<absl::Status()>& work);

}  // namespace rein::host
