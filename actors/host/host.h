// What the shell gives a role: executor, fence, peers, pictures, counters. The Host outlives the role.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/counters.h"
#include "actors/host/exceptions.h"
#include "actors/host/image_store.h"
#include "actors/host/offload.h"
#include "rein/v1/common.pb.h"
#include "transport/executor.h"
#include "transport/fence.h"
#include "transport/peer.h"

namespace rein::host {

struct HostOptions {
  std::string job_id;
  std::string token;
  v1::ActorAddress address;
  // Drawn at random by main.
  uint64_t incarnation = 0;
  int queue_limit = 256;
  int64_t max_message_bytes = 4 << 20;
  int64_t image_cache_bytes = 256 << 20;
  // Where weights are put away (ActorSpec.offload).
  std::filesystem::path run_dir;
};

// Thread-safe.
class Host {
 public:
  explicit Host(HostOptions options);

  const v1::ActorAddress& address() const { return options_.address; }
  const HostOptions& options() const { return options_; }
  transport::Executor& executor() { return executor_; }
  transport::FenceGuard& fence() { return fence_; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  ImageStore& images() { return images_; }

  // A peer with this job's token and message limit. Errors: INVALID_ARGUMENT.
  absl::StatusOr<transport::Peer> OpenPeer(const std::string& address) const;

  // The first line of every handler that asks for work: checks the fence, and that this actor is configured
  // and not draining. Errors: ABORTED, PERMISSION_DENIED (see FenceGuard), FAILED_PRECONDITION (not
  // configured), UNAVAILABLE (draining).
  absl::Status Admit(const v1::Fence& fence);

  // Runs tensor work on the executor thread and waits for it; exceptions become a Status. What was put away
  // is brought back before. Errors: RESOURCE_EXHAUSTED (queue full), CANCELLED (shutting down), those of
  // Offload::BringBack, those of `work`.
  absl::Status Run(const std::string& activity, const std::function<absl::Status()>& work);
  // The same for work that touches no tensor of the role: what is away stays away.
  absl::Status RunWithoutTensors(const std::string& activity, const std::function<absl::Status()>& work);
  template <typename T>
  absl::StatusOr<T> Compute(const std::string& activity, const std::function<absl::StatusOr<T>()>& work) {
    absl::StatusOr<T> result = absl::UnknownError("not run");
    const absl::Status status = Run(activity, [&] {
      result = work();
      return result.status();
    });
    if (!status.ok()) return status;
    return result;
  }
  // Work that goes on by itself, e.g. decoding: runs once on the executor thread and may post itself again.
  absl::Status Post(const std::string& activity, std::function<absl::Status()> work);

  // Belongs to the executor thread, but for its bytes().
  Offload& offload() { return offload_; }
  const Offload& offload() const { return offload_; }

  // Set by the shell.
  void SetConfigured() { configured_ = true; }
  void SetDraining() { draining_ = true; }
  bool configured() const { return configured_; }
  bool draining() const { return draining_; }

 private:
  absl::Status WithTensors(const std::function<absl::Status()>& work);

  const HostOptions options_;
  transport::FenceGuard fence_;
  Counters counters_;
  ImageStore images_;
  Offload offload_;
  std::atomic<bool> configured_ = false;
  std::atomic<bool> draining_ = false;
  // Last: its thread ends before the rest goes.
  transport::Executor executor_;
};

}  // namespace rein::host
