// One Generate call: answers on their way from the executor to the caller.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "rein/v1/rollout.pb.h"

namespace rein::rollout {

using SamplePtr = std::shared_ptr<const v1::Sample>;

// The executor puts answers in and never waits; the RPC thread writes them out. Holds at most one answer for
// each wanted sample, whose number the request limits bound. Thread-safe.
class GenerateStream {
 public:
  // Returns false when the caller is gone.
  using WriteFn = std::function<bool(const v1::GenerateResponse&)>;
  // The sign of life; nothing where the executor has done nothing since it was last asked.
  using ProgressFn = std::function<std::optional<v1::GenerateProgress>()>;

  // `samples`: how many the call wants.
  explicit GenerateStream(int64_t samples) : unanswered_(samples) {}

  void Deliver(SamplePtr sample);
  // `samples`: how many of the prompt's samples this answers.
  void Refuse(v1::PromptRefusal refusal, int64_t samples);
  // Ends the call with this error, after what came before; the first one counts.
  void Fail(const absl::Status& status);
  // The call is over: nobody reads answers any more.
  void Close();
  // Neither closed nor failed.
  bool open() const;

  // RPC thread. Writes what is here, without waiting. Errors: CANCELLED (the caller is gone).
  absl::Status WriteReady(const WriteFn& write);
  // RPC thread. Writes until every sample is answered, and asks for progress twice a second meanwhile; `gone`
  // tells whether the caller has hung up. Errors: those of Fail, CANCELLED.
  absl::Status WriteAll(const WriteFn& write, const ProgressFn& progress, const std::function<bool()>& gone);

 private:
  using Answer = std::variant<SamplePtr, v1::PromptRefusal>;
  bool Over() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return unanswered_ <= 0 || !status_.ok(); }
  bool Take(Answer* answer);

  mutable absl::Mutex mutex_;
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

using StreamPtr = std::shared_ptr<GenerateStream>;

}  // namespace rein::rollout
