#include "coordinator/offloading.h"

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "coordinator/all_at_once.h"
#include "rein/v1/actor.grpc.pb.h"
#include "transport/job_file.h"

namespace rein::coordinator {
namespace {

absl::Status Release(const Fleet& fleet, const Target& target, const std::string& request_id,
                     absl::Duration timeout) {
  v1::ReleaseRequest request;
  *request.mutable_fence() = fleet.MakeFence(target, 0, request_id);
  const auto stub = v1::Actor::NewStub(target.peer.channel());
  return transport::Call<v1::Actor::Stub, v1::ReleaseRequest, v1::ReleaseResponse>(
             target.peer, *stub, &v1::Actor::Stub::Release, request, timeout)
      .status();
}

// Those who offload and have nothing to do in the stage. An external scorer holds what it likes.
std::vector<std::pair<Slot, Target>> Idle(const v1::Job& job, const Fleet& fleet, transport::Stage stage) {
  std::set<std::string> roles;
  for (const v1::ActorSpec& actor : job.actors()) {
    if (actor.offload() && !transport::WorksIn(stage, actor.role())) roles.insert(actor.role());
  }
  std::vector<std::pair<Slot, Target>> idle;
  for (const std::string& role : roles) {
    for (auto& [slot, target] : fleet.Ready(role)) {
      const v1::ActorSpec* spec = transport::FindActor(job, slot.role, slot.name);
      if (target.incarnation == 0 || spec == nullptr || !spec->offload()) continue;
      idle.emplace_back(slot, std::move(target));
    }
  }
  return idle;
}

}  // namespace

void MakeRoom(const v1::Job& job, Fleet& fleet, StatusBoard& board, transport::Stage stage) {
  const std::vector<std::pair<Slot, Target>> idle = Idle(job, fleet, stage);
  if (idle.empty()) return;
  const absl::Duration timeout = absl::Seconds(job.limits().progress_timeout_s());
  const std::string what = absl::StrCat("room for ", transport::ToString(stage));
  const auto wait = board.Wait(what, absl::Now() + timeout);
  std::vector<std::function<absl::Status()>> calls;
  for (const auto& [slot, target] : idle) {
    calls.push_back([&fleet, &slot = slot, &target = target, &what, timeout] {
      const absl::Status status = Release(fleet, target, what, timeout);
      if (!status.ok())
        LogWarning(absl::StrCat(ToString(slot), " keeps its weights in memory: ", status.ToString()));
      return absl::OkStatus();
    });
  }
  AllAtOnce(calls).IgnoreError();
}

}  // namespace rein::coordinator
