// Decoding: which prompts go into the engine, and who gets the samples that come out.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/host.h"
#include "actors/host/loaded_model.h"
#include "actors/rollout/engine/engine.h"
#include "actors/rollout/generate_stream.h"
#include "actors/rollout/step_memory.h"
#include "rein/v1/rollout.pb.h"

namespace rein::rollout {

// Coordinator epoch and step; newer ones are greater.
struct StepKey {
  uint64_t epoch = 0;
  int64_t step = 0;
  auto operator<=>(const StepKey&) const = default;
};

// What all prompts of one Generate call have in common.
struct Call {
  StepKey step;
  std::string mode;  // see StepMemory
  SamplingParams params;
  StreamPtr stream;
};
using CallPtr = std::shared_ptr<const Call>;

// Executor thread.
class Generation {
 public:
  // `host` and `loaded` outlive it. Errors: those of Engine::Create.
  static absl::StatusOr<std::unique_ptr<Generation>> Create(host::Host* host, const host::LoadedModel* loaded,
                                                            const v1::Sampling& options);

  // Opens the memory of the call's step. What older steps finished is forgotten and what they left is
  // cancelled, once nobody listens to them any more. Errors: ABORTED (a newer epoch has calls here).
  absl::Status Open(const Call& call);
  // Answers the prompt's samples from memory, attaches the call to those under way, and starts the rest or
  // refuses it.
  void Admit(const Call& call, const v1::PromptSpec& wanted);

  // One step of the engine. Errors: those of Engine::Step; only Fail makes sense then.
  absl::Status Step();
  bool idle() const { return engine_->idle(); }
  // Drops all work and ends the calls that wait for it.
  void Fail(const absl::Status& status);
  // After the model's tensors were changed in place.
  void WeightsChanged(const v1::WeightVersion& version);
  EngineCounters counters() const { return engine_->counters(); }
  // When idle: weights, and the cache, which is forgotten.
  host::Releasable Held();

 private:
  // A prompt in the engine.
  struct Admitted {
    StepKey step;
    std::string mode;
    v1::Prompt prompt;
    std::vector<int32_t> tokens;
    size_t unfinished = 0;
  };

  Generation(host::Host* host, const host::LoadedModel* loaded, std::unique_ptr<Engine> engine)
      : host_(host), loaded_(loaded), engine_(std::move(engine)) {}

  absl::Status Start(const Call& call, const v1::Prompt& prompt, const std::vector<int32_t>& samples);
  absl::StatusOr<GenerationRequest> Encode(const v1::Prompt& prompt);
  void Finish(const GeneratedSample& generated);
  v1::Sample ToSample(const Admitted& admitted, const GeneratedSample& generated) const;
  void DropOldSteps();
  void Cancel(const StepKey& step);

  host::Host* const host_;
  const host::LoadedModel* const loaded_;
  const std::unique_ptr<Engine> engine_;
  std::map<StepKey, StepMemory> steps_;
  std::map<uint64_t, Admitted> admitted_;  // by the engine's tag
  uint64_t last_tag_ = 0;
};

}  // namespace rein::rollout
