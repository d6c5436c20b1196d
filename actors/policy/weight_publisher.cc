#include "actors/policy/weight_publisher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "collectives/weight_sync.h"

namespace rein::policy {
namespace {

absl::StatusOr<collectives::GroupBackend> ToBackend(v1::WeightBackend backend) {
  switch (backend) {
    case v1::WEIGHT_BACKEND_GLOO:
      return collectives::GroupBackend::kGloo;
    case v1::WEIGHT_BACKEND_NCCL:
      return collectives::GroupBackend::kNccl;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("backend ", v1::WeightBackend_Name(backend), " needs no group; use GLOO or NCCL"));
  }
}

}  // namespace

absl::Status WeightPublisher::Prepare(const v1::PrepareWeightsRequest& request, absl::Duration timeout,
                                      v1::PrepareWeightsResponse* response) {
  if (request.rank() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the policy publishes as rank 0 of a weight group, not ", request.rank()));
  }
  if (!request.store_address().empty()) return Join(request, timeout);
  REIN_ASSIGN_OR_RETURN(const GroupPtr group, Serve(request.group_epoch()));
  response->set_store_address(group->rendezvous->address());
  return absl::OkStatus();
}

absl::StatusOr<WeightPublisher::GroupPtr> WeightPublisher::Serve(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  if (group_ != nullptr && group_->epoch == epoch && group_->members == nullptr) return group_;
  if (group_ != nullptr && group_->members != nullptr) group_->members->Abort();
  auto group = std::make_shared<Group>();
  group->epoch = epoch;
  REIN_ASSIGN_OR_RETURN(group->rendezvous, collectives::ServeRendezvous());
  group_ = group;
  return group;
}

absl::Status WeightPublisher::Join(const v1::PrepareWeightsRequest& request, absl::Duration timeout) {
  REIN_ASSIGN_OR_RETURN(const collectives::GroupBackend backend, ToBackend(request.backend()));
  GroupPtr group;
  {
    absl::MutexLock lock(&mutex_);
    if (group_ == nullptr || group_->epoch != request.group_epoch()) {
      return absl::UnavailableError(absl::StrCat("no rendezvous is served for group epoch ",
                                                 request.group_epoch(),
                                                 "; call Prepare without a store address first"));
    }
    if (group_->members != nullptr) return absl::OkStatus();
    group = group_;
  }
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<collectives::WeightGroup> members,
                        collectives::JoinWeightGroup({.backend = backend,
                                                      .store_address = request.store_address(),
                                                      .epoch = request.group_epoch(),
                                                      .rank = 0,
                                                      .world = request.world(),
                                                      .timeout = timeout}));
  absl::MutexLock lock(&mutex_);
  if (group_ != group) return absl::UnavailableError("a newer weight group has taken this one's place");
  group->members = std::move(members);
  return absl::OkStatus();
}

WeightPublisher::GroupPtr WeightPublisher::Joined(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  return group_ != nullptr && group_->epoch == epoch && group_->members != nullptr ? group_ : nullptr;
}

void WeightPublisher::Drop(const GroupPtr& group) {
  absl::MutexLock lock(&mutex_);
  group->members->Abort();
  if (group_ == group) group_ = nullptr;
}

absl::StatusOr<v1::PublishResponse> WeightPublisher::Publish(const v1::PublishRequest& request,
                                                             const collectives::NamedTensors& tensors) {
  const absl::Time start = absl::Now();
  v1::PublishResponse response;
  if (request.group_epoch() == 0) {
    response.set_fingerprint(collectives::Fingerprint(tensors));
  } else {
    const GroupPtr group = Joined(request.group_epoch());
    if (group == nullptr) {
      return absl::UnavailableError(
          absl::StrCat("weight group ", request.group_epoch(), " is not open; rebuild it with a new epoch"));
    }
    REIN_ASSIGN_OR_RETURN(collectives::WeightSender sender,
                          collectives::WeightSender::Make(group->members.get(), tensors, bucket_bytes_));
    const absl::StatusOr<collectives::SentWeights> sent = sender.Send(
        {request.version().coordinator_epoch(), static_cast<uint64_t>(request.version().number())});
    if (!sent.ok() && !absl::IsFailedPrecondition(sent.status())) Drop(group);
    if (!sent.ok()) return sent.status();
    response.set_fingerprint(sent->fingerprint);
    response.set_bytes(sent->bytes);
  }
  response.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return response;
}

}  // namespace rein::policy
