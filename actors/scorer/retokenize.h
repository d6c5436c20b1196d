// For scorers whose tokenizer is not the policy's: from question and answer as text to their own tokens.
#pragma once

#include <vector>

#include "actors/host/samples.h"
#include "models/processor.h"
#include "rein/v1/common.pb.h"
#include "training/rl_trainer.h"

namespace rein::scorer {

// The samples as `processor` writes them; a response that was cut at its limit gets no end token. Those that
// cannot be processed go to `errors`.
std::vector<training::Sequence> Retokenize(const google::protobuf::RepeatedPtrField<v1::Sample>& samples,
                                           const models::Processor& processor, host::ImageStore& store,
                                           host::SampleErrors* errors);

}  // namespace rein::scorer
