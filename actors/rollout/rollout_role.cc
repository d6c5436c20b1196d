#include "actors/rollout/rollout_role.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/loaded_model.h"
#include "actors/rollout/generate_calls.h"
#include "actors/rollout/received_weights.h"
#include "base/log_line.h"
#include "base/status.h"
#include "rein/v1/rollout.grpc.pb.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "transport/request_memory.h"

namespace rein::rollout {
namespace {

// Also the longest wait for a member in one operation of the group.
constexpr absl::Duration kLongestJoin = absl::Seconds(30);

class RolloutService : public v1::Rollout::Service {
 public:
  explicit RolloutService(GenerateCalls* calls) : calls_(calls) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    return host::Answer([&] {
      return calls_->Run(
          *request, [writer](const v1::GenerateResponse& response) { return writer->Write(response); },
          [context] { return context->IsCancelled(); });
    });
  }

 private:
  GenerateCalls* const calls_;
};

class WeightsService : public v1::Weights::Service {
 public:
  WeightsService(host::Host* host, ReceivedWeights* weights, GenerateCalls* calls)
      : host_(host), weights_(weights), calls_(calls) {}

  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareWeightsRequest* request,
                       v1::PrepareWeightsResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
      const auto prepare = [&]() -> absl::StatusOr<v1::PrepareWeightsResponse> {
        const absl::Duration left = absl::FromChrono(context->deadline()) - absl::Now();
        REIN_RETURN_IF_ERROR(weights_->Prepare(*request, std::min(left, kLongestJoin)));
        return v1::PrepareWeightsResponse();
      };
      REIN_ASSIGN_OR_RETURN(*response, prepared_.Once(request->fence().request_id(), prepare));
      return absl::OkStatus();
    });
  }

  grpc::Status Receive(grpc::ServerContext* context, const v1::ReceiveWeightsRequest* request,
                       v1::ReceiveWeightsResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
      const auto receive = [&]() -> absl::StatusOr<v1::ReceiveWeightsResponse> {
        v1::ReceiveWeightsResponse received;
        // Here and not only in Answer: whoever repeats this request waits for its end.
        REIN_RETURN_IF_ERROR(host::Guarded([&]() -> absl::Status {
          REIN_ASSIGN_OR_RETURN(const uint64_t fingerprint, weights_->Receive(*request, *context));
          received.set_fingerprint(fingerprint);
          return absl::OkStatus();
        }));
        return received;
      };
      REIN_ASSIGN_OR_RETURN(*response, received_.Once(request->fence().request_id(), receive));
      return absl::OkStatus();
    });
  }

  grpc::Status Activate(grpc::ServerContext*, const v1::ActivateWeightsRequest* request,
                        v1::ActivateWeightsResponse*) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
      return host_->Run(absl::StrCat("Activate weights ", request->version().number()),
                        [&] { return Switch(request->version()); });
    });
  }

 private:
  absl::Status Switch(const v1::WeightVersion& version) {
    if (Equal(version, weights_->active())) return absl::OkStatus();
    const absl::Status activated = weights_->Activate(version);
    // Nobody may go on with weights of which nothing is known.
    if (absl::IsDataLoss(activated)) calls_->generation().Fail(activated);
    REIN_RETURN_IF_ERROR(activated);
    calls_->generation().WeightsChanged(version);
    LogInfo(absl::StrCat("weights of version ", version.coordinator_epoch(), ".", version.number(),
                         " are active"));
    return absl::OkStatus();
  }

  host::Host* const host_;
  ReceivedWeights* const weights_;
  GenerateCalls* const calls_;
  transport::RequestMemory<v1::PrepareWeightsResponse> prepared_;
  transport::RequestMemory<v1::ReceiveWeightsResponse> received_;
};

class RolloutRole : public host::Role {
 public:
  explicit RolloutRole(host::Host& host)
      : host_(host),
        weights_(&host),
        calls_(&host, &weights_),
        rollout_service_(&calls_),
        weights_service_(&host, &weights_, &calls_) {}

  std::vector<grpc::Service*> services() override { return {&rollout_service_, &weights_service_}; }

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    REIN_ASSIGN_OR_RETURN(loaded_, host::LoadRoleModel(configuration));
    REIN_ASSIGN_OR_RETURN(std::unique_ptr<Generation> generation,
                          Generation::Create(&host_, &loaded_, configuration.job.rollout()));
    REIN_RETURN_IF_ERROR(weights_.Configure(loaded_.model->tensors()));
    host_.images().SetProcessor(loaded_.processor);
    calls_.Configure(std::move(generation), configuration.job);
    return loaded_.info;
  }

  v1::WeightVersion weight_version() const override { return weights_.active(); }
  absl::StatusOr<host::Releasable> Release() override {
    REIN_ASSIGN_OR_RETURN(host::Releasable held, calls_.Release());
    weights_.ReleaseStaging();
    return held;
  }
  absl::Status Drain(absl::Time deadline) override { return calls_.Drain(deadline); }

 private:
  host::Host& host_;
  host::LoadedModel loaded_;
  ReceivedWeights weights_;
  GenerateCalls calls_;
  RolloutService rollout_service_;
  WeightsService weights_service_;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<RolloutRole>(host); }

}  // namespace rein::rollout
