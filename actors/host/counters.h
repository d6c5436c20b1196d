// Work done since start, by name: samples, tokens, requests. Shown in status.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace rein::host {

// Thread-safe.
class Counters {
 public:
  void Add(const std::string& name, double amount);
  // For figures that go up and down, e.g. running sequences.
  void Set(const std::string& name, double value);
  std::map<std::string, double> All() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, double> values_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::host
