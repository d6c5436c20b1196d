// A role's model with its processor, loaded from one folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

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

// What a model folder is loaded with: device, float32, progress as the actor's activity. `configuration`
// outlives the options. Errors: INVALID_ARGUMENT (no folder, no such device, adapters where nothing trains).
absl::StatusOr<models::LoadOptions> LoadOptionsOf(const Configuration& configuration);

v1::ModelInfo InfoOf(const models::VisionLanguageModel& model, const models::Processor& processor,
                     const std::filesystem::path& folder, const std::string& digest);

// Weights that never change.
Releasable Held(const models::VisionLanguageModel& model);

}  // namespace rein::host
