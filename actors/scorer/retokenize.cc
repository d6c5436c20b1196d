#include "actors/scorer/retokenize.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::scorer {
namespace {

void DropEndTokens(const models::Processor& processor, std::vector<int32_t>* tokens) {
  const std::vector<int32_t>& ends = processor.end_tokens();
  while (!tokens->empty() && std::find(ends.begin(), ends.end(), tokens->back()) != ends.end()) {
    tokens->pop_back();
  }
}

absl::StatusOr<training::Sequence> RetokenizeOne(const v1::Sample& sample, const models::Processor& processor,
                                                 host::ImageStore& store) {
  training::Sequence sequence;
  sequence.id = sample.sample_id();
  REIN_ASSIGN_OR_RETURN(sequence.images, host::Pictures(sample.images(), store));
  std::vector<models::ProcessedImage> images;
  for (const host::Picture& picture : sequence.images) images.push_back(*picture);
  REIN_ASSIGN_OR_RETURN(sequence.prompt, processor.EncodePrompt(sample.question(), images));
  const bool cut = sample.finish_reason() == v1::FINISH_REASON_LENGTH;
  if (cut && sample.answer().empty()) return absl::InvalidArgumentError("the answer has no text to score");
  sequence.response = processor.EncodeResponse(sample.answer());
  if (cut) DropEndTokens(processor, &sequence.response);
  return sequence;
}

}  // namespace

std::vector<training::Sequence> Retokenize(const google::protobuf::RepeatedPtrField<v1::Sample>& samples,
                                           const models::Processor& processor, host::ImageStore& store,
                                           host::SampleErrors* errors) {
  std::vector<training::Sequence> sequences;
  for (const v1::Sample& sample : samples) {
    absl::StatusOr<training::Sequence> sequence = RetokenizeOne(sample, processor, store);
    if (sequence.ok()) {
      sequences.push_back(*std::move(sequence));
    } else {
      *errors->Add() = host::ToSampleError(
          sample.sample_id(),
          WithContext(sequence.status(), absl::StrCat("sample '", sample.sample_id(), "'")));
    }
  }
  return sequences;
}

}  // namespace rein::scorer
