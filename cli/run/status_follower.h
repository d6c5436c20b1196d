// Follows WatchStatus of a run over restarts of its coordinator.
#pragma once

#include <filesystem>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::cli {

// Calls `on_status` from its own thread with every message, from construction to destruction. While no
// coordinator serves it waits for a new coordinator.address.
class StatusFollower {
 public:
  using OnStatus = std::function<void(const v1::JobStatus&)>;
  StatusFollower(std::filesystem::path run_dir, OnStatus on_status);
  ~StatusFollower();
  StatusFollower(const StatusFollower&) = delete;
  StatusFollower& operator=(const StatusFollower&) = delete;

 private:
  void Loop();
  void FollowOnce();
  // False when the follower ends.
  bool WaitForChange();
  // The call that the destructor would cancel; false when the follower ends.
  bool SetCall(grpc::ClientContext* call);

  const std::filesystem::path run_dir_;
  const OnStatus on_status_;
  int changes_ = -1, wake_ = -1;
  absl::Mutex mutex_;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool end_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace rein::cli
