#include "actors/rollout/received_weights.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "actors/rollout/weight_reader.h"
#include "base/status.h"
#include "collectives/weight_sync.h"

namespace rein::rollout {
namespace {

// Where the caller sets no deadline.
constexpr absl::Duration kLongestReceive = absl::Minutes(10);

collectives::Version ToVersion(const v1::WeightVersion& version) {
  return {version.coordinator_epoch(), static_cast<uint64_t>(version.number())};
}

absl::Status CheckPrepare(const v1::PrepareWeightsRequest& request) {
  if (request.rank() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a rollout receives: its rank in a weight group is 1 or more, not ", request.rank()));
  }
  if (request.backend() == v1::WEIGHT_BACKEND_GLOO || request.backend() == v1::WEIGHT_BACKEND_NCCL) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("backend ", v1::WeightBackend_Name(request.backend()),
                                                 " needs no group; use GLOO or NCCL"));
}

}  // namespace

bool Equal(const v1::WeightVersion& a, const v1::WeightVersion& b) {
  return a.coordinator_epoch() == b.coordinator_epoch() && a.number() == b.number();
}

absl::Status ReceivedWeights::Configure(const collectives::NamedTensors& live) {
  REIN_ASSIGN_OR_RETURN(staged_, collectives::StagedWeights::For(live));
  return absl::OkStatus();
}

absl::Status ReceivedWeights::Prepare(const v1::PrepareWeightsRequest& request, absl::Duration timeout) {
  REIN_RETURN_IF_ERROR(CheckPrepare(request));
  if (Joined(request.group_epoch()) != nullptr) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const GroupPtr group, Claim(request.group_epoch()));
  const bool nccl = request.backend() == v1::WEIGHT_BACKEND_NCCL;
  absl::StatusOr<std::unique_ptr<collectives::WeightGroup>> members = collectives::JoinWeightGroup(
      {.backend = nccl ? collectives::GroupBackend::kNccl : collectives::GroupBackend::kGloo,
       .store_address = request.store_address(),
       .epoch = request.group_epoch(),
       .rank = request.rank(),
       .world = request.world(),
       .timeout = timeout});
  if (!members.ok()) {
    Leave(group);
    return members.status();
  }
  absl::MutexLock lock(&mutex_);
  if (group_ != group) return absl::UnavailableError("a newer weight group has taken this one's place");
  group->members = *std::move(members);
  return absl::OkStatus();
}

absl::StatusOr<ReceivedWeights::GroupPtr> ReceivedWeights::Claim(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  if (group_ != nullptr && group_->epoch == epoch) {
    return absl::UnavailableError(
        absl::StrCat("another call is joining weight group ", epoch, "; wait for it"));
  }
  if (group_ != nullptr && group_->members != nullptr) group_->members->Abort();
  group_ = std::make_shared<Group>();
  group_->epoch = epoch;
  return group_;
}

ReceivedWeights::GroupPtr ReceivedWeights::Joined(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  return group_ != nullptr && group_->epoch == epoch && group_->members != nullptr ? group_ : nullptr;
}

void ReceivedWeights::Leave(const GroupPtr& group) {
  absl::MutexLock lock(&mutex_);
  if (group->members != nullptr) group->members->Abort();
  if (group_ == group) group_ = nullptr;
}

absl::StatusOr<uint64_t> ReceivedWeights::Receive(const v1::ReceiveWeightsRequest& request,
                                                  const grpc::ServerContext& caller) {
  REIN_RETURN_IF_ERROR(
      BeginReceiving(std::min(absl::FromChrono(caller.deadline()), absl::Now() + kLongestReceive)));
  const absl::Cleanup done = [this] { EndReceiving(); };
  return request.source_address().empty() ? FromGroup(request) : FromSource(request, caller);
}

absl::Status ReceivedWeights::BeginReceiving(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !receiving_; };
  if (!mutex_.AwaitWithDeadline(absl::Condition(&free), deadline)) {
    return absl::DeadlineExceededError("an earlier Receive has not ended yet");
  }
  receiving_ = true;
  return absl::OkStatus();
}

void ReceivedWeights::EndReceiving() {
  absl::MutexLock lock(&mutex_);
  receiving_ = false;
}

absl::StatusOr<uint64_t> ReceivedWeights::FromGroup(const v1::ReceiveWeightsRequest& request) {
  const GroupPtr group = Joined(request.group_epoch());
  if (group == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("weight group ", request.group_epoch(), " is not open; rebuild it with a new epoch"));
  }
  collectives::WeightReceiver receiver(group->members.get(), &*staged_);
  absl::StatusOr<uint64_t> fingerprint = receiver.Receive(ToVersion(request.version()));
  if (!fingerprint.ok() && !absl::IsFailedPrecondition(fingerprint.status())) Leave(group);
  return fingerprint;
}

absl::StatusOr<uint64_t> ReceivedWeights::FromSource(const v1::ReceiveWeightsRequest& request,
                                                     const grpc::ServerContext& caller) {
  REIN_ASSIGN_OR_RETURN(const transport::Peer source, host_->OpenPeer(request.source_address()));
  v1::ReadWeightsRequest read;
  *read.mutable_fence() = request.fence();
  *read.mutable_version() = request.version();
  const absl::Duration left = absl::FromChrono(caller.deadline()) - absl::Now();
  return ReadWeights(source, caller, std::min(left, kLongestReceive), read, &*staged_);
}

absl::Status ReceivedWeights::Activate(const v1::WeightVersion& version) {
  {
    absl::MutexLock lock(&mutex_);
    if (receiving_) {
      return absl::FailedPreconditionError("weights are still being received; activate them afterwards");
    }
    // Until this has ended, no call may receive into the memory that is read here.
    receiving_ = true;
  }
  const absl::Cleanup done = [this] { EndReceiving(); };
  REIN_RETURN_IF_ERROR(staged_->Apply(ToVersion(version)));
  const uint64_t live = staged_->layout().FingerprintOfLive(0, staged_->layout().bytes());
  if (live == staged_->fingerprint()) {
    SetActive(version);
    return absl::OkStatus();
  }
  SetActive({});
  return absl::DataLossError(absl::StrCat(
      "the model's weights have fingerprint ", live, " after the switch to version ", version.number(),
      ", received were ", staged_->fingerprint(), "; receive and activate them again"));
}

void ReceivedWeights::ReleaseStaging() {
  absl::MutexLock lock(&mutex_);
  if (receiving_ || !staged_.has_value()) return;
  if (staged_->staged() && staged_->version() == ToVersion(active_)) staged_->Drop();
}

void ReceivedWeights::SetActive(const v1::WeightVersion& version) {
  absl::MutexLock lock(&mutex_);
  active_ = version;
}

v1::WeightVersion ReceivedWeights::active() const {
  absl::MutexLock lock(&mutex_);
  return active_;
}

}  // namespace rein::rollout
