// The one implementation of Engine: scheduler, model and sampling put together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/rollout/engine/engine.h"
#include "actors/rollout/engine/request_check.h"
#include "actors/rollout/engine/scheduler.h"
#include "models/kv_cache.h"

namespace rein::rollout {

class PagedEngine : public Engine {
 public:
  // `blocks`: of the cache. May throw c10::Error (no memory for the cache).
  PagedEngine(models::VisionLanguageModel* model, const models::Processor* processor,
              const EngineOptions& options, int64_t blocks);

  absl::Status Add(GenerationRequest request) override;
  absl::Status Step(const std::function<void(GeneratedSample)>& finished) override;
  bool idle() const override { return scheduler_.idle(); }
  void Clear() override { scheduler_.Clear(); }
  void Cancel(uint64_t tag) override { scheduler_.Cancel(tag); }
  void WeightsChanged(Version version) override;
  EngineCounters counters() const override;
  std::vector<at::Tensor> ForgetCache() override;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;
  // Hidden states from which tokens are drawn next: sequence i of running() draws from row[i].
  struct Rows {
    std::vector<at::Tensor> hidden;  // [n, hidden] each, end to end
    std::vector<int64_t> row;
  };

  absl::Status StepUnguarded(const std::function<void(GeneratedSample)>& finished);
  absl::Status Prefill(const std::vector<std::shared_ptr<Prompt>>& prompts);
  void Copy(const std::vector<BlockCopy>& copies);
  // Computes the pending tokens of all running sequences.
  absl::StatusOr<Rows> Compute();
  at::Tensor NextLogits(const Rows& rows);  // float32 [running, vocab_size]
  absl::Status Draw(const at::Tensor& logits);
  // Draws for `members` of running(), which share their sampling parameters.
  absl::Status DrawFor(const std::vector<int64_t>& members, const at::Tensor& logits);
  bool Stopped(const Sequence& sequence) const;
  GeneratedSample Finish(Sequence& sequence) const;

  models::VisionLanguageModel* const model_;
  const RequestLimits limits_;
  std::vector<bool> is_end_token_;  // [vocab_size]
  models::KvCache cache_;
  at::Tensor allowed_;  // bool [vocab_size]
  Scheduler scheduler_;
  Version version_;
  int64_t generated_tokens_ = 0;
  int64_t prefilled_tokens_ = 0;
};

}  // namespace rein::rollout
