#include "actors/host/samples.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::host {
namespace {

using Tokens = google::protobuf::RepeatedField<int32_t>;

absl::Status CheckTokens(const Tokens& tokens, const char* what, int64_t vocab_size) {
  if (tokens.empty()) return absl::InvalidArgumentError(absl::StrCat("no ", what, " tokens"));
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " token ", token, " is outside the model's vocabulary of ", vocab_size));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPlaceholders(const Tokens& prompt, int64_t image_token_id,
                               const std::vector<Picture>& pictures) {
  const int64_t placeholders = std::count(prompt.begin(), prompt.end(), image_token_id);
  int64_t features = 0;
  for (const Picture& picture : pictures) features += picture->feature_count;
  if (placeholders == features) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the prompt holds ", placeholders, " image placeholders, its ", pictures.size(),
                   " image(s) have ", features, " features; policy and scorer must process images alike"));
}

absl::StatusOr<training::Sequence> Convert(const v1::Sample& sample, const models::ModelShape& shape,
                                           ImageStore& store) {
  REIN_RETURN_IF_ERROR(CheckTokens(sample.prompt_tokens(), "prompt", shape.vocab_size));
  REIN_RETURN_IF_ERROR(CheckTokens(sample.response_tokens(), "response", shape.vocab_size));
  REIN_ASSIGN_OR_RETURN(std::vector<Picture> pictures, Pictures(sample.images(), store));
  REIN_RETURN_IF_ERROR(CheckPlaceholders(sample.prompt_tokens(), shape.image_token_id, pictures));
  return training::Sequence{.id = sample.sample_id(),
                            .prompt = {sample.prompt_tokens().begin(), sample.prompt_tokens().end()},
                            .response = {sample.response_tokens().begin(), sample.response_tokens().end()},
                            .images = std::move(pictures)};
}

}  // namespace

absl::StatusOr<std::vector<Picture>> Pictures(const google::protobuf::RepeatedPtrField<v1::ImageRef>& images,
                                              ImageStore& store) {
  std::vector<Picture> pictures;
  for (const v1::ImageRef& image : images) {
    REIN_ASSIGN_OR_RETURN(Picture picture, store.Get(image.digest()));
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

absl::StatusOr<training::Sequence> ToSequence(const v1::Sample& sample, const models::ModelShape& shape,
                                              ImageStore& store) {
  absl::StatusOr<training::Sequence> sequence = Convert(sample, shape, store);
  if (!sequence.ok())
    return WithContext(sequence.status(), absl::StrCat("sample '", sample.sample_id(), "'"));
  return sequence;
}

absl::Status CheckBatch(const google::protobuf::RepeatedPtrField<v1::Sample>& samples) {
  if (samples.size() > kMaxBatch) {
    return absl::ResourceExhaustedError(
        absl::StrCat(samples.size(), " samples in one request, at most ", kMaxBatch, " are taken; split it"));
  }
  std::set<std::string> ids;
  for (const v1::Sample& sample : samples) {
    if (!sample.sample_id().empty() && ids.insert(sample.sample_id()).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("sample id '", sample.sample_id(), "' is empty or stands twice in one request"));
  }
  return absl::OkStatus();
}

void PrefetchImages(const google::protobuf::RepeatedPtrField<v1::Sample>& samples, ImageStore& store) {
  for (const v1::Sample& sample : samples) store.Prefetch(sample.images());
}

std::vector<training::Sequence> ToSequences(const google::protobuf::RepeatedPtrField<v1::Sample>& samples,
                                            const models::ModelShape& shape, ImageStore& store,
                                            SampleErrors* errors) {
  std::vector<training::Sequence> sequences;
  for (const v1::Sample& sample : samples) {
    absl::StatusOr<training::Sequence> sequence = ToSequence(sample, shape, store);
    if (sequence.ok()) {
      sequences.push_back(*std::move(sequence));
    } else {
      *errors->Add() = ToSampleError(sample.sample_id(), sequence.status());
    }
  }
  return sequences;
}

v1::SampleError ToSampleError(const std::string& sample_id, const absl::Status& status) {
  v1::SampleError error;
  error.set_sample_id(sample_id);
  error.set_code(static_cast<int32_t>(status.code()));
  error.set_message(std::string(status.message()));
  return error;
}

}  // namespace rein::host
