#include "actors/host/host.h"

#include "absl/strings/str_cat.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::host {

Host::Host(HostOptions options)
    : options_(std::move(options)),
      fence_(options_.job_id, options_.incarnation),
      images_(options_.image_cache_bytes),
      offload_(options_.run_dir),
      executor_(options_.queue_limit) {}

absl::StatusOr<transport::Peer> Host::OpenPeer(const std::string& address) const {
  return transport::Peer::Open(address,
                               {.token = options_.token, .max_message_bytes = options_.max_message_bytes});
}

absl::Status Host::Admit(const v1::Fence& fence) {
  if (absl::Status status = fence_.Check(fence); !status.ok()) return status;
  if (draining_) {
    return absl::UnavailableError("this actor is draining and takes no more work; send it to another one");
  }
  if (!configured_) {
    return absl::FailedPreconditionError("this actor has not been configured; send Actor.Configure first");
  }
  return absl::OkStatus();
}

absl::Status Host::WithTensors(const std::function<absl::Status()>& work) {
  return Guarded([this, &work]() -> absl::Status {
    if (offload_.bytes() > 0) {
      counters_.Add("wakes", 1);
      REIN_RETURN_IF_ERROR(offload_.BringBack());
    }
    return work();
  });
}

absl::Status Host::Run(const std::string& activity, const std::function<absl::Status()>& work) {
  return executor_.Run(activity, [this, &work] { return WithTensors(work); });
}

absl::Status Host::RunWithoutTensors(const std::string& activity, const std::function<absl::Status()>& work) {
  return executor_.Run(activity, [&work] { return Guarded(work); });
}

absl::Status Host::Post(const std::string& activity, std::function<absl::Status()> work) {
  return executor_.Post(activity, [this, activity, work = std::move(work)] {
    const absl::Status status = WithTensors(work);
    if (!status.ok()) LogError(absl::StrCat(activity, ": ", status.ToString()));
  });
}

}  // namespace rein::host
