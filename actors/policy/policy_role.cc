#include "actors/policy/policy_role.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/train_steps.h"
#include "actors/host/trainable.h"
#include "actors/policy/trained_policy.h"
#include "actors/policy/weight_snapshot.h"
#include "base/status.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::policy {
namespace {

class PolicyService : public v1::Policy::Service {
 public:
  PolicyService(host::Host* host, TrainedPolicy* policy) : host_(host), policy_(policy) {}

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

 private:
  host::Host* const host_;
  TrainedPolicy* const policy_;
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
      : policy_(&host), service_(&host, &policy_), source_(&host, &policy_), state_(&host, &policy_) {}

  std::vector<grpc::Service*> services() override { return {&service_, &source_, &state_}; }
  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    return policy_.Configure(configuration);
  }
  v1::WeightVersion weight_version() const override { return policy_.version(); }

 private:
  TrainedPolicy policy_;
  PolicyService service_;
  WeightSourceService source_;
  host::StateService state_;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<PolicyRole>(host); }

}  // namespace rein::policy
