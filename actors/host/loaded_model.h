// A role's model with its processor, loaded from one folder.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "actors/host/role.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "rein/v1/common.pb.h"

namespace rein::host {

struct LoadedModel {
  std::unique_ptr<models::VisionLanguageModel> model;
  std::shared_ptr<const models::Processor> processor;
  v1::ModelInfo info;
};

// Loads configuration.model onto configuration.spec.device(), float32. Errors: those of LoadModel and
// Processor::Load with the folder's name; INVALID_ARGUMENT (no such device).
absl::StatusOr<LoadedModel> LoadRoleModel(const Configuration& configuration);

// Weights that never change.
Releasable Held(const LoadedModel& loaded);

}  // namespace rein::host
