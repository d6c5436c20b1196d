// A repeated request gets the first answer.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace rein::transport {

// Remembers the answers of the last `capacity` requests by id. Thread-safe.
template <typename Response>
class RequestMemory {
 public:
  explicit RequestMemory(size_t capacity = 64) : capacity_(capacity) {}

  // Runs `work` for the first call with this id; callers that come while it runs wait for it, later ones get
  // its answer. A failed answer is forgotten once all who waited have it, so that the request can be tried
  // anew.
  absl::StatusOr<Response> Once(const std::string& request_id,
                                const std::function<absl::StatusOr<Response>()>& work) {
    std::shared_ptr<Entry> entry;
    bool first = false;
    {
      absl::MutexLock lock(&mutex_);
      auto [it, inserted] = entries_.try_emplace(request_id, nullptr);
      if (inserted) it->second = std::make_shared<Entry>();
      entry = it->second;
      first = inserted;
    }
    if (!first) return entry->Wait();
    absl::StatusOr<Response> answer = work();
    entry->Set(answer);
    absl::MutexLock lock(&mutex_);
    if (!answer.ok()) {
      entries_.erase(request_id);
      return answer;
    }
    order_.push_back(request_id);
    if (order_.size() > capacity_) {
      entries_.erase(order_.front());
      order_.pop_front();
    }
    return answer;
  }

 private:
  struct Entry {
    absl::StatusOr<Response> Wait() {
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&done));
      return answer;
    }
    void Set(const absl::StatusOr<Response>& value) {
      absl::MutexLock lock(&mutex);
      answer = value;
      done = true;
    }
    absl::Mutex mutex;
    bool done ABSL_GUARDED_BY(mutex) = false;
    absl::StatusOr<Response> answer ABSL_GUARDED_BY(mutex) = absl::UnknownError("not answered");
  };

  const size_t capacity_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::transport
