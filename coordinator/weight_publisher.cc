#include "coordinator/weight_publisher.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/all_at_once.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::coordinator {
namespace {

Slot PolicySlot(const Fleet& fleet) { return fleet.Slots("policy").front(); }

v1::WeightBackend BackendOf(const v1::Job& job) {
  return job.weight_sync().backend() == "nccl" ? v1::WEIGHT_BACKEND_NCCL : v1::WEIGHT_BACKEND_GLOO;
}

absl::StatusOr<v1::PrepareWeightsResponse> Prepare(const Target& target,
                                                   const v1::PrepareWeightsRequest& request,
                                                   absl::Duration timeout) {
  const auto stub = v1::Weights::NewStub(target.peer.channel());
  return transport::Call<v1::Weights::Stub, v1::PrepareWeightsRequest, v1::PrepareWeightsResponse>(
      target.peer, *stub, &v1::Weights::Stub::Prepare, request, timeout);
}

absl::StatusOr<uint64_t> Receive(const Target& target, const v1::ReceiveWeightsRequest& request,
                                 absl::Duration timeout) {
  const auto stub = v1::Weights::NewStub(target.peer.channel());
  REIN_ASSIGN_OR_RETURN(
      const v1::ReceiveWeightsResponse response,
      (transport::Call<v1::Weights::Stub, v1::ReceiveWeightsRequest, v1::ReceiveWeightsResponse>(
          target.peer, *stub, &v1::Weights::Stub::Receive, request, timeout)));
  return response.fingerprint();
}

absl::StatusOr<v1::PublishResponse> CallPublish(const Target& policy, const v1::PublishRequest& request,
                                                absl::Duration timeout) {
  const auto stub = v1::Policy::NewStub(policy.peer.channel());
  return transport::Call<v1::Policy::Stub, v1::PublishRequest, v1::PublishResponse>(
      policy.peer, *stub, &v1::Policy::Stub::Publish, request, timeout);
}

absl::Status CheckFingerprint(const Target& rollout, uint64_t expected, uint64_t received) {
  if (expected == received) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("%s holds weights with fingerprint %016x, published was %016x",
                                             KeyOf(rollout.address), received, expected));
}

}  // namespace

WeightPublisher::WeightPublisher(const v1::Job& job, Fleet* fleet, StatusBoard* board)
    : job_(job), fleet_(fleet), board_(board), timeout_(absl::Seconds(job.limits().progress_timeout_s())) {}

v1::WeightVersion WeightPublisher::version() const {
  absl::MutexLock lock(&mutex_);
  return version_;
}

std::string WeightPublisher::RequestId(const std::string& what, const v1::WeightVersion& version) {
  absl::MutexLock lock(&mutex_);
  return absl::StrCat(what, "-", version.coordinator_epoch(), "-", version.number(), "-", ++requests_);
}

bool WeightPublisher::WantsGroup() const { return job_.weight_sync().backend() != "grpc"; }

absl::Status WeightPublisher::Publish(const v1::WeightVersion& version) {
  REIN_ASSIGN_OR_RETURN(const Target policy, fleet_->AwaitReady(PolicySlot(*fleet_)));
  const auto wait =
      board_->Wait(absl::StrCat("weights: publish version ", version.number()), absl::Now() + timeout_);
  const Rollouts rollouts = fleet_->Ready("rollout");
  absl::Status group = absl::UnavailableError("no weight group is wanted");
  if (WantsGroup() && !rollouts.empty()) {
    group = EnsureGroup(policy, rollouts);
    if (group.ok()) group = PublishToGroup(policy, rollouts, version);
    if (!group.ok()) {
      members_.clear();
      LogWarning(absl::StrCat("weight group: ", group.ToString(), "; the stream is used instead"));
      REIN_RETURN_IF_ERROR(fleet_->Interruption());
    }
  }
  if (group.ok()) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const uint64_t fingerprint, PolicyFingerprint(policy, version));
  {
    absl::MutexLock lock(&mutex_);
    version_ = version;
    fingerprint_ = fingerprint;
  }
  for (const auto& [slot, rollout] : rollouts) {
    const absl::Status status = CatchUp(slot, rollout);
    if (!status.ok()) fleet_->ReportLost(slot, rollout, absl::StrCat("weights: ", status.message()));
  }
  return fleet_->Interruption();
}

absl::Status WeightPublisher::EnsureGroup(const Target& policy, const Rollouts& rollouts) {
  std::vector<uint64_t> members = {policy.incarnation};
  for (const auto& [slot, rollout] : rollouts) members.push_back(rollout.incarnation);
  if (members == members_) return absl::OkStatus();
  members_.clear();
  // Epochs of two coordinators must not meet at one policy.
  group_epoch_ =
      (fleet_->MakeFence(policy, 0, "").coordinator_epoch() << 32) | ((group_epoch_ + 1) & 0xffffffff);
  v1::PrepareWeightsRequest request;
  request.set_group_epoch(group_epoch_);
  request.set_backend(BackendOf(job_));
  request.set_world(static_cast<int32_t>(members.size()));
  const std::string id = absl::StrCat("prepare-", group_epoch_);
  *request.mutable_fence() = fleet_->MakeFence(policy, 0, absl::StrCat(id, "-store"));
  REIN_ASSIGN_OR_RETURN(const v1::PrepareWeightsResponse store, Prepare(policy, request, timeout_));
  request.set_store_address(store.store_address());
  std::vector<std::function<absl::Status()>> calls;
  for (size_t rank = 0; rank < members.size(); ++rank) {
    const Target& target = rank == 0 ? policy : rollouts[rank - 1].second;
    request.set_rank(static_cast<int32_t>(rank));
    *request.mutable_fence() = fleet_->MakeFence(target, 0, absl::StrCat(id, "-", rank));
    calls.push_back([this, &target, request] { return Prepare(target, request, timeout_).status(); });
  }
  REIN_RETURN_IF_ERROR(AllAtOnce(calls));
  members_ = members;
  return absl::OkStatus();
}

absl::Status WeightPublisher::PublishToGroup(const Target& policy, const Rollouts& rollouts,
                                             const v1::WeightVersion& version) {
  v1::PublishRequest publish;
  *publish.mutable_fence() = fleet_->MakeFence(policy, version.number(), RequestId("publish", version));
  *publish.mutable_version() = version;
  publish.set_group_epoch(group_epoch_);
  uint64_t sent = 0;
  std::vector<uint64_t> received(rollouts.size());
  std::vector<std::function<absl::Status()>> calls = {[&]() -> absl::Status {
    REIN_ASSIGN_OR_RETURN(const v1::PublishResponse response, CallPublish(policy, publish, timeout_));
    sent = response.fingerprint();
    return absl::OkStatus();
  }};
  for (size_t i = 0; i < rollouts.size(); ++i) {
    calls.push_back([&, i]() -> absl::Status {
      const Target& rollout = rollouts[i].second;
      v1::ReceiveWeightsRequest request;
      *request.mutable_fence() = fleet_->MakeFence(rollout, version.number(), RequestId("receive", version));
      *request.mutable_version() = version;
      request.set_group_epoch(group_epoch_);
      REIN_ASSIGN_OR_RETURN(received[i], Receive(rollout, request, timeout_));
      return absl::OkStatus();
    });
  }
  REIN_RETURN_IF_ERROR(AllAtOnce(calls));
  for (size_t i = 0; i < rollouts.size(); ++i) {
    REIN_RETURN_IF_ERROR(CheckFingerprint(rollouts[i].second, sent, received[i]));
  }
  {
    absl::MutexLock lock(&mutex_);
    version_ = version;
    fingerprint_ = sent;
  }
  calls.clear();
  for (const auto& [slot, rollout] : rollouts) {
    calls.push_back([this, &rollout = rollout, &version] { return Activate(rollout, version); });
  }
  return AllAtOnce(calls);
}

absl::StatusOr<uint64_t> WeightPublisher::PolicyFingerprint(const Target& policy,
                                                            const v1::WeightVersion& version) {
  v1::PublishRequest request;
  *request.mutable_fence() = fleet_->MakeFence(policy, version.number(), RequestId("fingerprint", version));
  *request.mutable_version() = version;
  REIN_ASSIGN_OR_RETURN(const v1::PublishResponse response, CallPublish(policy, request, timeout_));
  return response.fingerprint();
}

absl::Status WeightPublisher::CatchUp(const Slot& slot, const Target& rollout) {
  REIN_ASSIGN_OR_RETURN(const Target policy, fleet_->AwaitReady(PolicySlot(*fleet_)));
  v1::WeightVersion version;
  uint64_t fingerprint = 0;
  {
    absl::MutexLock lock(&mutex_);
    version = version_;
    fingerprint = fingerprint_;
  }
  const auto wait = board_->Wait(absl::StrCat(ToString(slot), ": catch up to version ", version.number()),
                                 absl::Now() + timeout_);
  REIN_RETURN_IF_ERROR(ReceiveByStream(policy, rollout, version, fingerprint));
  return Activate(rollout, version);
}

absl::Status WeightPublisher::ReceiveByStream(const Target& policy, const Target& rollout,
                                              const v1::WeightVersion& version, uint64_t fingerprint) {
  v1::ReceiveWeightsRequest request;
  *request.mutable_fence() = fleet_->MakeFence(rollout, version.number(), RequestId("stream", version));
  *request.mutable_version() = version;
  request.set_source_address(policy.peer.address());
  REIN_ASSIGN_OR_RETURN(const uint64_t received, Receive(rollout, request, timeout_));
  return CheckFingerprint(rollout, fingerprint, received);
}

absl::Status WeightPublisher::Activate(const Target& rollout, const v1::WeightVersion& version) {
  v1::ActivateWeightsRequest request;
  *request.mutable_fence() = fleet_->MakeFence(rollout, version.number(), RequestId("activate", version));
  *request.mutable_version() = version;
  const auto stub = v1::Weights::NewStub(rollout.peer.channel());
  return transport::Call<v1::Weights::Stub, v1::ActivateWeightsRequest, v1::ActivateWeightsResponse>(
             rollout.peer, *stub, &v1::Weights::Stub::Activate, request, timeout_)
      .status();
}

}  // namespace rein::coordinator
