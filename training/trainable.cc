#include "training/trainable.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::training {

absl::StatusOr<Trainable> PrepareTraining(models::VisionLanguageModel& model,
                                          const std::vector<std::string>& freeze,
                                          const models::LoraOptions& lora) {
  Trainable trainable;
  REIN_ASSIGN_OR_RETURN(trainable.parameters, models::TrainableParameters(model, freeze));
  if (lora.rank > 0) {
    REIN_ASSIGN_OR_RETURN(trainable.lora, models::Lora::Attach(&model, lora, freeze));
    trainable.parameters = trainable.lora->parameters();
  }
  if (trainable.parameters.empty()) {
    return absl::InvalidArgumentError("freeze leaves no parameter to train: remove an entry");
  }
  trainable.images_frozen = true;
  for (const auto& [name, value] : trainable.parameters) {
    if (value.scalar_type() != at::kFloat) {
      return absl::UnimplementedError(absl::StrCat("training needs float32 weights, but ", name, " is ",
                                                   c10::toString(value.scalar_type()),
                                                   ": load the model as float32"));
    }
    const std::string part = model.PartOf(name);
    if (part == "vision" || part == "projector") trainable.images_frozen = false;
  }
  return trainable;
}

}  // namespace rein::training
