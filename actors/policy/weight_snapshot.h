// The policy's weights at one version, as bytes, for the gRPC stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/vision_language_model.h"
#include "rein/v1/trainable.pb.h"

namespace rein::policy {

struct WeightSnapshot {
  v1::WeightVersion version;
  v1::WeightManifest manifest;
  // Tensors end to end in the manifest's order, row-major, little-endian.
  std::string bytes;
};

// Copies all tensors to the host. Executor thread.
std::shared_ptr<const WeightSnapshot> TakeSnapshot(const models::VisionLanguageModel& model,
                                                   const v1::WeightVersion& version);

// Manifest first, then chunks; `write` returns false when the reader is gone. Errors: CANCELLED.
absl::Status StreamSnapshot(const WeightSnapshot& snapshot,
                            const std::function<bool(const v1::ReadWeightsResponse&)>& write);

}  // namespace rein::policy
