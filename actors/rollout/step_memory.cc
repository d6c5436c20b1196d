#include "actors/rollout/step_memory.h"

#include "absl/strings/str_cat.h"

namespace rein::rollout {

std::string SampleId(const std::string& prompt_id, int32_t sample) {
  return absl::StrCat(prompt_id, "/", sample);
}

bool StepMemory::HasListeners() {
  std::erase_if(streams_, [](const StreamPtr& stream) { return !stream->open(); });
  return !streams_.empty();
}

std::vector<int32_t> StepMemory::Ask(const std::string& mode, const v1::PromptSpec& wanted,
                                     const StreamPtr& stream) {
  std::vector<int32_t> missing;
  for (const int32_t sample : wanted.samples()) {
    const auto found = slots_.find({mode, SampleId(wanted.prompt().prompt_id(), sample)});
    if (found == slots_.end()) {
      missing.push_back(sample);
    } else if (found->second.sample != nullptr) {
      stream->Deliver(found->second.sample);
    } else {
      found->second.waiting.push_back(stream);
    }
  }
  return missing;
}

void StepMemory::Start(const std::string& mode, const std::string& prompt_id,
                       const std::vector<int32_t>& samples, const StreamPtr& stream) {
  for (const int32_t sample : samples) slots_[{mode, SampleId(prompt_id, sample)}].waiting = {stream};
}

void StepMemory::Finish(const std::string& mode, const SamplePtr& sample) {
  Slot& slot = slots_[{mode, sample->sample_id()}];
  slot.sample = sample;
  for (const StreamPtr& stream : slot.waiting) stream->Deliver(sample);
  slot.waiting.clear();
}

void StepMemory::Fail(const absl::Status& status) {
  std::erase_if(slots_, [](const auto& slot) { return slot.second.sample == nullptr; });
  for (const StreamPtr& stream : streams_) stream->Fail(status);
  streams_.clear();
}

}  // namespace rein::rollout
