#include "actors/critic/critic_role.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/loaded_model.h"
#include "actors/host/optimizer_options.h"
#include "actors/host/samples.h"
#include "actors/host/train_steps.h"
#include "actors/host/trainable.h"
#include "base/log_line.h"
#include "base/status.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "training/rl_trainer.h"

namespace rein::critic {
namespace {

using TokenValues = std::vector<float>;
using Batch = std::vector<v1::CriticSample>;

absl::Status Accept(const std::string& sample_id, TokenValues values, v1::ValuesResponse* response) {
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
    return absl::DataLossError(
        absl::StrCat("sample '", sample_id, "': a value is not finite; the critic has diverged"));
  }
  v1::TokenValues* answer = response->add_values();
  answer->set_sample_id(sample_id);
  answer->mutable_values()->Assign(values.begin(), values.end());
  return absl::OkStatus();
}

class CriticRole : public host::Role, public host::Trainable, public v1::Critic::Service {
 public:
  explicit CriticRole(host::Host& host) : host::Trainable(&host), host_(host), state_(&host, this) {}

  std::vector<grpc::Service*> services() override {
    return {static_cast<v1::Critic::Service*>(this), &state_};
  }

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    configuration_ = configuration;
    REIN_RETURN_IF_ERROR(Restart());
    host_.images().SetProcessor(loaded_.processor);
    v1::WeightVersion start;
    start.set_coordinator_epoch(host_.fence().epoch());
    SetVersion(start);
    return loaded_.info;
  }

  v1::WeightVersion weight_version() const override { return version(); }
  absl::StatusOr<host::Releasable> Release() override { return Held(); }

  grpc::Status Values(grpc::ServerContext*, const v1::ValuesRequest* request,
                      v1::ValuesResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_.Admit(request->fence()));
      REIN_RETURN_IF_ERROR(host::CheckBatch(request->samples()));
      host::PrefetchImages(request->samples(), host_.images());
      return host_.Run(absl::StrCat("Values of ", request->samples_size(), " samples"),
                       [&] { return ComputeValues(*request, response); });
    });
  }

  grpc::Status Train(grpc::ServerContext*,
                     grpc::ServerReaderWriter<v1::TrainProgress, v1::TrainCriticRequest>* stream) override {
    return host::Answer([&]() -> absl::Status {
      v1::TrainHeader header;
      auto batch = std::make_shared<Batch>();
      REIN_RETURN_IF_ERROR(host::ReadTrainStream<v1::TrainCriticRequest>(
          stream, &header, [&](v1::CriticSample sample) { batch->push_back(std::move(sample)); }));
      REIN_RETURN_IF_ERROR(host_.Admit(header.fence()));
      for (const v1::CriticSample& sample : *batch) host_.images().Prefetch(sample.sample().images());
      const auto step = [this, header, batch](const training::ProgressFn& progress) {
        return Step(header, [&] { return TrainOn(*batch, header, progress); });
      };
      return steps().Run(header, step,
                         [stream](const v1::TrainProgress& progress) { return stream->Write(progress); });
    });
  }

 protected:
  models::VisionLanguageModel& model() override { return *loaded_.model; }
  training::AdamW& optimizer() override { return trainer_->optimizer(); }
  models::Lora* lora() override { return trainer_->lora(); }

  absl::Status Restart() override {
    trainer_ = nullptr;
    REIN_ASSIGN_OR_RETURN(loaded_, host::LoadRoleModel(configuration_));
    if (!loaded_.model->shape().has_score_head) {
      LogWarning(absl::StrCat(configuration_.model.string(),
                              " has no score head: the critic starts with a random one"));
      loaded_.model->AddScoreHead(configuration_.job.seed());
    }
    REIN_ASSIGN_OR_RETURN(
        trainer_, training::CriticTrainer::Create(
                      loaded_.model.get(),
                      {.optimizer = host::ToOptimizerOptions(configuration_.job.critic_optimizer()),
                       .freeze = {configuration_.spec.freeze().begin(), configuration_.spec.freeze().end()},
                       .lora = host::ToLoraOptions(configuration_.spec.lora(), configuration_.job.seed()),
                       .value_clip = configuration_.job.algorithm().value_clip()}));
    return absl::OkStatus();
  }

 private:
  absl::Status ComputeValues(const v1::ValuesRequest& request, v1::ValuesResponse* response) {
    const std::vector<training::Sequence> sequences = host::ToSequences(
        request.samples(), loaded_.model->shape(), host_.images(), response->mutable_errors());
    const int64_t micro_batch_tokens = configuration_.job.critic_optimizer().micro_batch_tokens();
    host::ComputeEach<TokenValues>(
        sequences,
        [&](absl::Span<const training::Sequence> batch) {
          return training::ResponseValues(*loaded_.model, batch, micro_batch_tokens);
        },
        [response](const std::string& sample_id, TokenValues values) {
          return Accept(sample_id, std::move(values), response);
        },
        response->mutable_errors());
    host_.counters().Add("samples", response->values_size());
    host_.counters().Add("sample_errors", response->errors_size());
    return absl::OkStatus();
  }

  absl::StatusOr<training::Metrics> TrainOn(const Batch& batch, const v1::TrainHeader& header,
                                            const training::ProgressFn& progress) {
    std::vector<training::CriticSequence> sequences;
    for (const v1::CriticSample& sample : batch) {
      REIN_ASSIGN_OR_RETURN(training::Sequence sequence,
                            host::ToSequence(sample.sample(), loaded_.model->shape(), host_.images()));
      sequences.push_back({.sequence = std::move(sequence),
                           .old_values = {sample.old_values().begin(), sample.old_values().end()},
                           .returns = {sample.returns().begin(), sample.returns().end()},
                           .token_weight = sample.token_weight()});
    }
    return trainer_->Step(sequences, header.total_steps(), progress);
  }

  host::Host& host_;
  host::StateService state_;
  host::Configuration configuration_;
  host::LoadedModel loaded_;
  std::unique_ptr<training::CriticTrainer> trainer_;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<CriticRole>(host); }

}  // namespace rein::critic
