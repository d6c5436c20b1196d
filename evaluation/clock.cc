#include "evaluation/clock.h"

#include "absl/time/clock.h"

namespace rein::evaluation {
namespace {

class Host : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  void Sleep(absl::Duration duration) override { absl::SleepFor(duration); }
};

}  // namespace

Clock& HostClock() {
  static auto& clock = *new Host;
  return clock;
}

}  // namespace rein::evaluation
