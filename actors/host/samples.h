// From samples on the wire to sequences for the models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "actors/host/image_store.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "models/vision_language_model.h"
#include "rein/v1/common.pb.h"
#include "training/rl_trainer.h"

namespace rein::host {

// Pictures of `images` in order. Errors: those of ImageStore::Get.
absl::StatusOr<std::vector<Picture>> Pictures(const google::protobuf::RepeatedPtrField<v1::ImageRef>& images,
                                              ImageStore& store);

// Checks the sample against the model and resolves its pictures; runs on the executor thread.
// Errors, each naming the sample: INVALID_ARGUMENT (no prompt or response tokens, an id outside the
// vocabulary, image placeholders and image features disagree), those of ImageStore::Get.
absl::StatusOr<training::Sequence> ToSequence(const v1::Sample& sample, const models::ModelShape& shape,
                                              ImageStore& store);

// One sample's failure, as it is answered.
v1::SampleError ToSampleError(const std::string& sample_id, const absl::Status& status);

}  // namespace rein::host
