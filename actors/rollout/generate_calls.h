// Generate calls: from the RPC threads that serve them to the executor that decodes, and back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "actors/host/host.h"
#include "actors/rollout/generate_stream.h"
#include "actors/rollout/generation.h"
#include "actors/rollout/received_weights.h"
#include "rein/v1/job.pb.h"
#include "rein/v1/rollout.pb.h"

namespace rein::rollout {

// Most prompts, and most samples, of one call.
inline constexpr int kMaxPrompts = 4096;
inline constexpr int64_t kMaxSamples = 65536;

// Decoding is a chain of executor tasks of one step each, so that weight switches and other requests fit
// between them. Thread-safe.
class GenerateCalls {
 public:
  // `host` and `weights` outlive it.
  GenerateCalls(host::Host* host, const ReceivedWeights* weights) : host_(host), weights_(weights) {}
  // Waits for the step that runs and cuts off the rest.
  ~GenerateCalls();

  // Executor thread, before anything else.
  void Configure(std::unique_ptr<Generation> generation, const v1::Job& job);
  // Executor thread, between two steps.
  Generation& generation() { return *generation_; }

  // Serves one call on its RPC thread; `gone` tells whether its caller has hung up. Errors: those of
  // Host::Admit, INVALID_ARGUMENT (sampling options, ids), RESOURCE_EXHAUSTED (over the limits above),
  // FAILED_PRECONDITION (other weights are active), those of Generation::Step, CANCELLED (the caller is
  // gone).
  absl::Status Run(const v1::GenerateRequest& request, const GenerateStream::WriteFn& write,
                   const std::function<bool()>& gone);

  // What may leave memory. Executor thread. Errors: UNAVAILABLE (samples are unfinished).
  absl::StatusOr<host::Releasable> Release();

  // Waits until no call runs, and drops what callers that are gone have left. Errors: DEADLINE_EXCEEDED.
  absl::Status Drain(absl::Time deadline);

 private:
  using Wanted = std::pair<CallPtr, v1::PromptSpec>;

  absl::Status Open(const v1::GenerateRequest& request, const Call& call);
  absl::Status HandIn(const v1::GenerateRequest& request, const CallPtr& call,
                      const GenerateStream::WriteFn& write);
  absl::Status Submit(std::vector<Wanted> prompts);
  absl::Status PostPump();
  absl::Status Pump();
  bool GoOn();
  absl::Status Advance();
  std::vector<Wanted> TakePrompts(bool* more);
  GenerateStream::ProgressFn ProgressSinceNow() const;
  EngineCounters counters() const;
  void CountCalls(int change);
  absl::Status AwaitNoCalls(absl::Time deadline);

  host::Host* const host_;
  const ReceivedWeights* const weights_;
  std::unique_ptr<Generation> generation_;
  // Set by Configure, constant afterwards.
  int64_t max_response_tokens_ = 0;
  bool deterministic_ = false;

  mutable absl::Mutex mutex_;
  std::deque<Wanted> inbox_ ABSL_GUARDED_BY(mutex_);
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;  // a task is queued or runs
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  EngineCounters counters_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::rollout
