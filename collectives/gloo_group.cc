// Compiled with USE_C10D_GLOO (CMakeLists.txt). The Gloo that runs is the one inside libtorch_cpu; its own
// headers are not in the wheel, those used here may be older: Gloo's objects are only passed on, and no
// virtual function of theirs is called.
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "collectives/c10d_group.h"

namespace rein::collectives {
namespace {

class CuttableGloo : public c10d::ProcessGroupGloo {
 public:
  using ProcessGroupGloo::ProcessGroupGloo;
  void Cut() {
    for (const auto& context : contexts_) context->closeConnections();
  }
};

class GlooGroup : public C10dGroup {
 public:
  GlooGroup(const GroupOptions& options, c10::intrusive_ptr<CuttableGloo> gloo)
      : C10dGroup(options, gloo, at::kCPU), gloo_(std::move(gloo)) {}

 protected:
  void Await(c10d::Work& work) override {
    // Gloo's own timeout ends the operation and names the peer; this one is behind it.
    work.wait(Milliseconds(options().timeout + absl::Seconds(1)));
  }
  void Cut() override { gloo_->Cut(); }

 private:
  c10::intrusive_ptr<CuttableGloo> gloo_;
};

}  // namespace

std::unique_ptr<WeightGroup> JoinGloo(const GroupOptions& options, c10::intrusive_ptr<c10d::Store> store) {
  auto gloo = c10d::ProcessGroupGloo::Options::create(Milliseconds(options.timeout));
  gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(options.host));
  return std::make_unique<GlooGroup>(
      options, c10::make_intrusive<CuttableGloo>(store, options.rank, options.world, std::move(gloo)));
}

}  // namespace rein::collectives
