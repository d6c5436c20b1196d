#include "actors/rollout/generate_stream.h"

#include <utility>

#include "absl/time/time.h"
#include "base/status.h"

namespace rein::rollout {
namespace {

constexpr absl::Duration kProgressInterval = absl::Milliseconds(500);

absl::Status CallerGone() {
  return absl::CancelledError("the caller of Generate is gone; what is under way goes on until a newer step");
}

}  // namespace

void GenerateStream::Deliver(SamplePtr sample) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  answers_.emplace_back(std::move(sample));
  --unanswered_;
}

void GenerateStream::Refuse(v1::PromptRefusal refusal, int64_t samples) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  answers_.emplace_back(std::move(refusal));
  unanswered_ -= samples;
}

void GenerateStream::Fail(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!Over()) status_ = status;
}

void GenerateStream::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  answers_.clear();
}

bool GenerateStream::open() const {
  absl::MutexLock lock(&mutex_);
  return !closed_ && status_.ok();
}

bool GenerateStream::Take(Answer* answer) {
  absl::MutexLock lock(&mutex_);
  if (answers_.empty()) return false;
  *answer = std::move(answers_.front());
  answers_.pop_front();
  return true;
}

absl::Status GenerateStream::WriteReady(const WriteFn& write) {
  Answer answer;
  while (Take(&answer)) {
    v1::GenerateResponse response;
    if (const auto* sample = std::get_if<SamplePtr>(&answer)) {
      *response.mutable_sample() = **sample;
    } else {
      *response.mutable_refusal() = std::get<v1::PromptRefusal>(std::move(answer));
    }
    if (!write(response)) return CallerGone();
  }
  return absl::OkStatus();
}

absl::Status GenerateStream::WriteAll(const WriteFn& write, const ProgressFn& progress,
                                      const std::function<bool()>& gone) {
  absl::Time next_progress = absl::Now() + kProgressInterval;
  const auto news = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !answers_.empty() || Over(); };
  while (true) {
    bool over = false;
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithDeadline(absl::Condition(&news), next_progress);
      over = Over();
      status = status_;
    }
    // Whatever came before the end is here by now.
    REIN_RETURN_IF_ERROR(WriteReady(write));
    if (over) return status;
    if (gone()) return CallerGone();
    if (absl::Now() < next_progress) continue;
    if (std::optional<v1::GenerateProgress> now = progress(); now.has_value()) {
      v1::GenerateResponse response;
      *response.mutable_progress() = *std::move(now);
      if (!write(response)) return CallerGone();
    }
    next_progress = absl::Now() + kProgressInterval;
  }
}

}  // namespace rein::rollout
