// From samples on the wire to sequences for the models.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
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

// Most samples in one request to a stateless service.
inline constexpr int kMaxBatch = 4096;

// Errors: RESOURCE_EXHAUSTED (over kMaxBatch), INVALID_ARGUMENT (an id is empty or stands twice).
absl::Status CheckBatch(const google::protobuf::RepeatedPtrField<v1::Sample>& samples);

// Waits, on the RPC thread, until the encoded pictures of all samples are in this process.
void PrefetchImages(const google::protobuf::RepeatedPtrField<v1::Sample>& samples, ImageStore& store);

using SampleErrors = google::protobuf::RepeatedPtrField<v1::SampleError>;

// The samples that can be processed; the others go to `errors`.
std::vector<training::Sequence> ToSequences(const google::protobuf::RepeatedPtrField<v1::Sample>& samples,
                                            const models::ModelShape& shape, ImageStore& store,
                                            SampleErrors* errors);

// Computes one Result a sequence and hands each to `accept`; a sequence that fails or is not accepted goes to
// `errors`. Where the batch as a whole fails, its sequences are tried one by one, so that a bad one costs
// only itself.
template <typename Result>
void ComputeEach(
    absl::Span<const training::Sequence> sequences,
    const std::function<absl::StatusOr<std::vector<Result>>(absl::Span<const training::Sequence>)>& compute,
    const std::function<absl::Status(const std::string& sample_id, Result)>& accept, SampleErrors* errors) {
  if (sequences.empty()) return;
  absl::StatusOr<std::vector<Result>> results = compute(sequences);
  if (!results.ok() && sequences.size() > 1) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      ComputeEach(sequences.subspan(i, 1), compute, accept, errors);
    }
    return;
  }
  for (size_t i = 0; i < sequences.size(); ++i) {
    const absl::Status status =
        results.ok() ? accept(sequences[i].id, std::move((*results)[i])) : results.status();
    if (!status.ok()) *errors->Add() = ToSampleError(sequences[i].id, status);
  }
}

}  // namespace rein::host
