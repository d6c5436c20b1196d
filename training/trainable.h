// What a trainer checks of its model before the first step.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/lora.h"
#include "models/vision_language_model.h"

namespace rein::training {

struct Trainable {
  models::NamedTensors parameters;
  bool images_frozen = false;          // neither vision nor projector trains: features never change
  std::unique_ptr<models::Lora> lora;  // null without adapters
};

// Freezes and collects; with `lora.rank` > 0 attaches adapters, which train in place of the weights. Errors:
// INVALID_ARGUMENT (an entry of `freeze` matches nothing, or nothing is left to train), those of
// Lora::Attach, UNIMPLEMENTED (a parameter is not float32).
absl::StatusOr<Trainable> PrepareTraining(models::VisionLanguageModel& model,
                                          const std::vector<std::string>& freeze,
                                          const models::LoraOptions& lora = {});

}  // namespace rein::training
