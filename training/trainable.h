// What a trainer checks of its model before the first step.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/vision_language_model.h"

namespace rein::training {

struct Trainable {
  models::NamedTensors parameters;
  bool images_frozen = false;  // neither vision nor projector trains: features never change
};

// Freezes and collects. Errors: INVALID_ARGUMENT (an entry of `freeze` matches nothing, or nothing is left to
// train), UNIMPLEMENTED (a parameter is not float32).
absl::StatusOr<Trainable> PrepareTraining(models::VisionLanguageModel& model,
                                          const std::vector<std::string>& freeze);

}  // namespace rein::training
