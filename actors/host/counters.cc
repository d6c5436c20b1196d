#include "actors/host/counters.h"

namespace rein::host {

void Counters::Add(const std::string& name, double amount) {
  absl::MutexLock lock(&mutex_);
  values_[name] += amount;
}

void Counters::Set(const std::string& name, double value) {
  absl::MutexLock lock(&mutex_);
  values_[name] = value;
}

std::map<std::string, double> Counters::All() const {
  absl::MutexLock lock(&mutex_);
  return values_;
}

}  // namespace rein::host
