// Compiled with USE_C10D_NCCL, in builds with CUDA only.
#ifdef REIN_CUDA

#include <c10/cuda/CUDAFunctions.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "collectives/c10d_group.h"

namespace rein::collectives {
namespace {

// GPUs do not wake threads: how often a waiting one looks.
constexpr std::chrono::microseconds kLook(200);

class NcclGroup : public C10dGroup {
 public:
  NcclGroup(const GroupOptions& options, c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl, at::Device device)
      : C10dGroup(options, nccl, device), nccl_(std::move(nccl)) {}
  // A member that is gone would keep the communicator's end waiting.
  ~NcclGroup() override { nccl_->abort(); }

 protected:
  void Await(c10d::Work& work) override {
    const auto deadline = std::chrono::steady_clock::now() + Milliseconds(options().timeout);
    std::unique_lock lock(mutex_);
    while (!work.isCompleted()) {
      TORCH_CHECK(!aborted(), "aborted");
      TORCH_CHECK(std::chrono::steady_clock::now() < deadline, "NCCL timed out after ",
                  absl::FormatDuration(options().timeout));
      wake_.wait_for(lock, kLook);
    }
    if (work.exception()) std::rethrow_exception(work.exception());
    work.synchronize();
  }

  void Cut() override {
    {
      const std::lock_guard lock(mutex_);
      wake_.notify_all();
    }
    nccl_->abort();
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;
  std::mutex mutex_;
  std::condition_variable wake_;
};

// c10d's default is to end the process when a peer is lost; here that is an error that the group reports.
void KeepProcessAliveOnErrors() {
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", /*overwrite=*/0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", /*overwrite=*/0);
}

}  // namespace

std::unique_ptr<WeightGroup> JoinNccl(const GroupOptions& options, c10::intrusive_ptr<c10d::Store> store) {
  KeepProcessAliveOnErrors();
  auto nccl = c10d::ProcessGroupNCCL::Options::create();
  nccl->timeout = Milliseconds(options.timeout);
#ifdef NCCL_HAS_COMM_NONBLOCKING
  nccl->config.blocking = 0;
#endif
  const at::Device device(at::kCUDA, c10::cuda::current_device());
  return std::make_unique<NcclGroup>(
      options,
      c10::make_intrusive<c10d::ProcessGroupNCCL>(store, options.rank, options.world, std::move(nccl)),
      device);
}

}  // namespace rein::collectives

#endif  // REIN_CUDA
