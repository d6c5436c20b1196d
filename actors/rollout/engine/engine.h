// Continuous batching over a paged KV cache: prompts come in, finished samples come out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/processor.h"
#include "models/vision_language_model.h"

namespace rein::rollout {

struct SamplingParams {
  double temperature = 1.0;  // 0: greedy
  int64_t max_response_tokens = 512;
  double top_p = 1.0;
  int64_t top_k = 0;
  uint64_t seed = 1;
};

// One prompt and how many samples of it; its prefill is shared.
struct GenerationRequest {
  std::string prompt_id;
  std::vector<int32_t> prompt_tokens;          // expanded
  std::vector<models::ProcessedImage> images;  // in order of their placeholders
  std::vector<int32_t> samples;                // sample numbers
  SamplingParams params;
  // The caller's name for this request: comes back with every sample and is what Cancel takes.
  uint64_t tag = 0;
};

// A version of the weights; compared, never computed with.
struct Version {
  uint64_t epoch = 0;
  int64_t number = 0;
  bool operator==(const Version&) const = default;
};

struct GeneratedSample {
  std::string prompt_id;
  int32_t sample = 0;
  std::vector<int32_t> tokens;  // [L], the end token included if it was generated
  std::vector<float> logprobs;  // [L], nats
  bool stopped = false;         // ended by an end token, not by the limit
  Version first_version, last_version;
  uint64_t tag = 0;
};

struct EngineOptions {
  int64_t max_batch = 64;  // sequences decoded together
  int64_t block_tokens = 16;
  int64_t cache_bytes = 0;  // 0: what max_batch of the longest sequences needs
  int64_t max_prompt_tokens = 4096;
  int64_t max_response_tokens = 512;
};

struct EngineCounters {
  int64_t generated_tokens = 0;
  int64_t prefilled_tokens = 0;
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t preempted = 0;
  int64_t free_blocks = 0;
  int64_t total_blocks = 0;
};

// One thread calls it. A step decodes one token of every running sequence, after prefilling what has been
// admitted.
class Engine {
 public:
  // `model` and `processor` outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(models::VisionLanguageModel* model,
                                                        const models::Processor* processor,
                                                        const EngineOptions& options);
  virtual ~Engine() = default;
  // Bytes of the KV cache that Create would make. Errors: INVALID_ARGUMENT (options).
  static absl::StatusOr<int64_t> CacheBytes(const models::VisionLanguageModel& model,
                                            const EngineOptions& options);

  // Queues a request. Errors: INVALID_ARGUMENT (empty, too long for prompt or response budget or cache,
  // placeholders and features disagree, bad sampling options): says both numbers; the engine is unchanged.
  virtual absl::Status Add(GenerationRequest request) = 0;
  // Runs one step; finished samples are handed to `finished`, which must not call the engine. No-op when
  // idle. Errors: DATA_LOSS (the model gives numbers that are not finite), RESOURCE_EXHAUSTED (memory),
  // INTERNAL. After an error only Clear makes sense.
  virtual absl::Status Step(const std::function<void(GeneratedSample)>& finished) = 0;
  virtual bool idle() const = 0;
  // Drops everything queued and running.
  virtual void Clear() = 0;
  // Drops what is left of the requests with this tag.
  virtual void Cancel(uint64_t tag) = 0;
  // To be called between two steps after the model's weights were changed in place: flushes the prefix cache;
  // running sequences are prefilled again with the new weights and go on.
  virtual void WeightsChanged(Version version) = 0;
  virtual EngineCounters counters() const = 0;
  // The tensors of the cache, whose contents are not needed again. To be called when idle.
  virtual std::vector<at::Tensor> ForgetCache() = 0;
};

}  // namespace rein::rollout
