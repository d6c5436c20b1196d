#include "actors/policy/policy_role.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/train_steps.h"
#include "actors/host/trainable.h"
#include "actors/policy/trained_policy.h"
#include "actors/policy/weight_publisher.h"
#include "actors/policy/weight_snapshot.h"
#include "base/status.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "transport/request_memory.h"

namespace rein::policy {
namespace {

// Also the longest wait for a member in one operation of the group.
constexpr absl::Duration kLongestJoin = absl::Seconds(30);

class PolicyService : public v1::Policy::Service {
 public:
  PolicyService(host::Host* host, TrainedPolicy* policy, WeightPublisher* publisher)
      : host_(host), policy_(policy), publisher_(publisher) {}

  grpc::Status Train(grpc::ServerContext*,
                     grpc::ServerReaderWriter<v1::TrainProgress, v1::TrainPolicyRequest>* stream) override {
    return host::Answer([&]() -> absl::Status {
      v1::TrainHeader header;
      auto batch = std::make_shared<Batch>();
      REIN_RETURN_IF_ERROR(host::ReadTrainStream<v1::TrainPolicyRequest>(
          stream, &header, [&](v1::PolicySample sample) { batch->push_back(std::move(sample)); }));
      REIN_RETURN_IF_ERROR(host_->Admit(header.fence()));
      for (const v1::PolicySample& sample : *batch) host_->images().Prefetch(sample.sample().images());
      const auto step = [policy = policy_, header, batch](const training::ProgressFn& progress) {
        return policy->Train(*batch, header, progress);
      };
      return policy_->steps().Run(
          header, step, [stream](const v1::TrainProgress& progress) { return stream->Write(progress); });
    });
  }

  grpc::Status Publish(grpc::ServerContext*, const v1::PublishRequest* request,
                       v1::PublishResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
      const auto publish = [&] {
        return host_->Compute<v1::PublishResponse>(
            absl::StrCat("Publish version ", request->version().number()),
            [&]() -> absl::StatusOr<v1::PublishResponse> {
              REIN_RETURN_IF_ERROR(policy_->CheckVersion(request->version()));
              return publisher_->Publish(*request, policy_->tensors());
            });
      };
      REIN_ASSIGN_OR_RETURN(*response, published_.Once(request->fence().request_id(), publish));
      return absl::OkStatus();
    });
  }

 private:
  host::Host* const host_;
  TrainedPolicy* const policy_;
  WeightPublisher* const publisher_;
  transport::RequestMemory<v1::PublishResponse> published_;
};

// The policy opens weight groups; it receives none.
class WeightsService : public v1::Weights::Service {
 public:
  WeightsService(host::Host* host, WeightPublisher* publisher) : host_(host), publisher_(publisher) {}

  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareWeightsRequest* request,
                       v1::PrepareWeightsResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
      const absl::Duration left = absl::FromChrono(context->deadline()) - absl::Now();
      return publisher_->Prepare(*request, std::min(left, kLongestJoin), response);
    });
  }

 private:
  host::Host* const host_;
  WeightPublisher* const publisher_;
};

// Changes nothing and is asked by rollouts, which know the job but not this actor's incarnation: no fence but
// the job.
class WeightSourceService : public v1::WeightSource::Service {
 public:
  WeightSourceService(host::Host* host, TrainedPolicy* policy) : host_(host), policy_(policy) {}

  grpc::Status Read(grpc::ServerContext*, const v1::ReadWeightsRequest* request,
                    grpc::ServerWriter<v1::ReadWeightsResponse>* writer) override {
    return host::Answer([&]() -> absl::Status {
      if (request->fence().job_id() != host_->fence().job_id()) {
        return absl::PermissionDeniedError(
            absl::StrCat("this policy serves job '", host_->fence().job_id(), "'"));
      }
      if (!host_->configured()) {
        return absl::FailedPreconditionError(
            "this policy has not been configured; send Actor.Configure first");
      }
      using SnapshotPtr = std::shared_ptr<const WeightSnapshot>;
      REIN_ASSIGN_OR_RETURN(const SnapshotPtr snapshot,
                            host_->Compute<SnapshotPtr>("Copy weights for the stream", [&] {
                              return policy_->Snapshot(request->version());
                            }));
      return StreamSnapshot(
          *snapshot, [writer](const v1::ReadWeightsResponse& response) { return writer->Write(response); });
    });
  }

 private:
  host::Host* const host_;
  TrainedPolicy* const policy_;
};

class PolicyRole : public host::Role {
 public:
  explicit PolicyRole(host::Host& host)
      : policy_(&host),
        service_(&host, &policy_, &publisher_),
        weights_(&host, &publisher_),
        source_(&host, &policy_),
        state_(&host, &policy_) {}

  std::vector<grpc::Service*> services() override { return {&service_, &weights_, &source_, &state_}; }
  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    publisher_.SetBucketBytes(configuration.job.weight_sync().bucket_bytes());
    return policy_.Configure(configuration);
  }
  v1::WeightVersion weight_version() const override { return policy_.version(); }
  absl::StatusOr<host::Releasable> Release() override { return policy_.Held(); }

 private:
  TrainedPolicy policy_;
  WeightPublisher publisher_;
  PolicyService service_;
  WeightsService weights_;
  WeightSourceService source_;
  host::StateService state_;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<PolicyRole>(host); }

}  // namespace rein::policy
