#include "actors/reference/reference_role.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/loaded_model.h"
#include "actors/host/samples.h"
#include "base/status.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "training/rl_trainer.h"

namespace rein::reference {
namespace {

using TokenLogProbs = std::vector<float>;

absl::Status Accept(const std::string& sample_id, TokenLogProbs logprobs, v1::LogProbsResponse* response) {
  if (!std::all_of(logprobs.begin(), logprobs.end(), [](float x) { return std::isfinite(x); })) {
    return absl::DataLossError(absl::StrCat(
        "sample '", sample_id,
        "': a log-probability is not finite; the model is broken or a response token may not be sampled"));
  }
  v1::TokenValues* values = response->add_logprobs();
  values->set_sample_id(sample_id);
  values->mutable_values()->Assign(logprobs.begin(), logprobs.end());
  return absl::OkStatus();
}

// Executor thread: everything but LogProbs.
class ReferenceRole : public host::Role, public v1::Reference::Service {
 public:
  explicit ReferenceRole(host::Host& host) : host_(host) {}

  std::vector<grpc::Service*> services() override { return {this}; }

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    REIN_ASSIGN_OR_RETURN(loaded_, host::LoadRoleModel(configuration));
    allowed_ = loaded_.processor->AllowedTokens(loaded_.model->shape().vocab_size);
    temperature_ = configuration.job.rollout().temperature();
    micro_batch_tokens_ = configuration.job.policy_optimizer().micro_batch_tokens();
    host_.images().SetProcessor(loaded_.processor);
    return loaded_.info;
  }

  grpc::Status LogProbs(grpc::ServerContext*, const v1::LogProbsRequest* request,
                        v1::LogProbsResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_.Admit(request->fence()));
      REIN_RETURN_IF_ERROR(host::CheckBatch(request->samples()));
      host::PrefetchImages(request->samples(), host_.images());
      return host_.Run(absl::StrCat("LogProbs of ", request->samples_size(), " samples"),
                       [&] { return Compute(*request, response); });
    });
  }

  absl::StatusOr<host::Releasable> Release() override { return host::Held(*loaded_.model); }

 private:
  absl::Status Compute(const v1::LogProbsRequest& request, v1::LogProbsResponse* response) {
    const std::vector<training::Sequence> sequences = host::ToSequences(
        request.samples(), loaded_.model->shape(), host_.images(), response->mutable_errors());
    host::ComputeEach<TokenLogProbs>(
        sequences,
        [this](absl::Span<const training::Sequence> batch) {
          return training::ResponseLogProbs(*loaded_.model, batch, temperature_, allowed_,
                                            micro_batch_tokens_);
        },
        [response](const std::string& sample_id, TokenLogProbs logprobs) {
          return Accept(sample_id, std::move(logprobs), response);
        },
        response->mutable_errors());
    host_.counters().Add("samples", response->logprobs_size());
    host_.counters().Add("sample_errors", response->errors_size());
    return absl::OkStatus();
  }

  host::Host& host_;
  host::LoadedModel loaded_;
  at::Tensor allowed_;  // bool [vocab_size]
  double temperature_ = 1;
  int64_t micro_batch_tokens_ = 0;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<ReferenceRole>(host); }

}  // namespace rein::reference
