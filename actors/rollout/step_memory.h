// What has been generated for one step of the job, and what is under way.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "actors/rollout/generate_stream.h"
#include "rein/v1/rollout.pb.h"

namespace rein::rollout {

// One thread.
class StepMemory {
 public:
  // A call of this step.
  void Join(const StreamPtr& stream) { streams_.push_back(stream); }
  // Whether any call still listens.
  bool HasListeners();

  // Delivers what is finished, and later what is under way. Returns the numbers of the samples that nobody
  // generates yet. `mode`: sampling options and weights asked for; samples of different modes are different.
  std::vector<int32_t> Ask(const std::string& mode, const v1::PromptSpec& wanted, const StreamPtr& stream);
  // These are under way from now on, for `stream`.
  void Start(const std::string& mode, const std::string& prompt_id, const std::vector<int32_t>& samples,
             const StreamPtr& stream);
  void Finish(const std::string& mode, const SamplePtr& sample);

  // What is under way will not come: forgets it and ends all calls with `status`.
  void Fail(const absl::Status& status);

 private:
  struct Slot {
    SamplePtr sample;                // null while it is under way
    std::vector<StreamPtr> waiting;  // for it
  };
  using Key = std::pair<std::string, std::string>;  // mode, sample id

  std::map<Key, Slot> slots_;
  std::vector<StreamPtr> streams_;
};

// prompt_id, a slash, and the number.
std::string SampleId(const std::string& prompt_id, int32_t sample);

}  // namespace rein::rollout
