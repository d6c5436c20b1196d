#include "cli/run/status_follower.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "cli/coordinator_client.h"

namespace rein::cli {
namespace {

// Calls are bounded; a job that runs longer is followed by the next one.
constexpr absl::Duration kLongestCall = absl::Hours(24);
// A coordinator that is there but refuses is asked again after this.
constexpr int kRetryMs = 500;
constexpr int kStatusIntervalMs = 200;

}  // namespace

StatusFollower::StatusFollower(std::filesystem::path run_dir, OnStatus on_status)
    : run_dir_(std::move(run_dir)), on_status_(std::move(on_status)) {
  changes_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  inotify_add_watch(changes_, run_dir_.c_str(), IN_MOVED_TO);
  wake_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { Loop(); });
}

StatusFollower::~StatusFollower() {
  {
    absl::MutexLock lock(&mutex_);
    end_ = true;
    if (call_ != nullptr) call_->TryCancel();
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  thread_.join();
  close(changes_);
  close(wake_);
}

void StatusFollower::Loop() {
  do {
    FollowOnce();
  } while (WaitForChange());
}

bool StatusFollower::SetCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mutex_);
  call_ = call;
  return !end_;
}

void StatusFollower::FollowOnce() {
  const absl::StatusOr<CoordinatorClient> client = CoordinatorClient::OfRun(run_dir_);
  if (!client.ok()) return;
  grpc::ClientContext context;
  client->peer().Prepare(context, kLongestCall);
  v1::JobStatusRequest request;
  request.set_min_interval_ms(kStatusIntervalMs);
  request.set_without_job(true);
  if (!SetCall(&context)) return;
  const auto stream = client->stub().WatchStatus(&context, request);
  v1::JobStatus status;
  while (stream->Read(&status)) on_status_(status);
  SetCall(nullptr);
  stream->Finish();
}

bool StatusFollower::WaitForChange() {
  pollfd waiting[] = {{wake_, POLLIN, 0}, {changes_, POLLIN, 0}};
  poll(waiting, 2, kRetryMs);
  char seen[4096];
  while (read(changes_, seen, sizeof(seen)) > 0) {
  }
  absl::MutexLock lock(&mutex_);
  return !end_;
}

}  // namespace rein::cli
