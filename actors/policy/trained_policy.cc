#include "actors/policy/trained_policy.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/optimizer_options.h"
#include "actors/host/samples.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::policy {
namespace {

training::PolicyOptions ToOptions(const host::Configuration& configuration) {
  const v1::Job& job = configuration.job;
  return {.optimizer = host::ToOptimizerOptions(job.policy_optimizer()),
          .freeze = {configuration.spec.freeze().begin(), configuration.spec.freeze().end()},
          .lora = host::ToLoraOptions(configuration.spec.lora(), configuration.job.seed()),
          .temperature = job.rollout().temperature(),
          .clip_ratio = job.algorithm().clip_ratio(),
          .behaviour_ratio_cap = job.algorithm().behaviour_ratio_cap(),
          .ptx_coefficient = job.ptx().coefficient()};
}

std::string Text(const v1::WeightVersion& version) {
  return absl::StrCat(version.coordinator_epoch(), ".", version.number());
}

bool Equal(const v1::WeightVersion& a, const v1::WeightVersion& b) {
  return a.coordinator_epoch() == b.coordinator_epoch() && a.number() == b.number();
}

}  // namespace

absl::StatusOr<v1::ModelInfo> TrainedPolicy::Configure(const host::Configuration& configuration) {
  configuration_ = configuration;
  REIN_RETURN_IF_ERROR(Restart());
  host_->images().SetProcessor(loaded_.processor);
  REIN_RETURN_IF_ERROR(LoadPtx());
  v1::WeightVersion start;
  start.set_coordinator_epoch(host_->fence().epoch());
  SetVersion(start);
  return loaded_.info;
}

absl::Status TrainedPolicy::Restart() {
  trainer_ = nullptr;
  // PTX data refers to the processor: it stays when the weights start anew.
  std::shared_ptr<const models::Processor> processor = std::move(loaded_.processor);
  REIN_ASSIGN_OR_RETURN(loaded_, host::LoadRoleModel(configuration_));
  if (processor != nullptr) loaded_.processor = std::move(processor);
  const at::Tensor allowed = loaded_.processor->AllowedTokens(loaded_.model->shape().vocab_size);
  REIN_ASSIGN_OR_RETURN(
      trainer_, training::PolicyTrainer::Create(loaded_.model.get(), allowed, ToOptions(configuration_)));
  return absl::OkStatus();
}

absl::Status TrainedPolicy::LoadPtx() {
  const v1::Ptx& ptx = configuration_.job.ptx();
  if (ptx.data().empty() || ptx.coefficient() == 0) return absl::OkStatus();
  absl::StatusOr<PtxData> data =
      PtxData::Load(ptx.data(), loaded_.processor.get(), loaded_.model->shape(), &host_->images());
  if (!data.ok()) return WithContext(data.status(), "ptx.data");
  LogInfo(absl::StrCat("PTX mixes in ", data->rows(), " benign rows of ", ptx.data()));
  ptx_ = *std::move(data);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<training::SupervisedSequence>> TrainedPolicy::DrawPtx(int64_t step) {
  if (!ptx_.has_value()) return std::vector<training::SupervisedSequence>();
  return ptx_->Draw(configuration_.job.seed(), step, configuration_.job.ptx().batch());
}

absl::StatusOr<training::Metrics> TrainedPolicy::Train(const Batch& batch, const v1::TrainHeader& header,
                                                       const training::ProgressFn& progress) {
  return Step(header, [&]() -> absl::StatusOr<training::Metrics> {
    std::vector<training::PolicySequence> sequences;
    for (const v1::PolicySample& sample : batch) {
      REIN_ASSIGN_OR_RETURN(training::Sequence sequence,
                            host::ToSequence(sample.sample(), loaded_.model->shape(), host_->images()));
      sequences.push_back({.sequence = std::move(sequence),
                           .behaviour_logprobs = {sample.sample().behaviour_logprobs().begin(),
                                                  sample.sample().behaviour_logprobs().end()},
                           .advantages = {sample.advantages().begin(), sample.advantages().end()},
                           .token_weight = sample.token_weight()});
    }
    REIN_ASSIGN_OR_RETURN(const std::vector<training::SupervisedSequence> ptx,
                          DrawPtx(header.version().number()));
    return trainer_->Step(sequences, ptx, header.total_steps(), progress);
  });
}

absl::Status TrainedPolicy::CheckVersion(const v1::WeightVersion& wanted) const {
  if (Equal(wanted, version())) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the policy is at version ", Text(version()), ", not ",
                                                    Text(wanted), "; ask for that one"));
}

absl::StatusOr<std::shared_ptr<const WeightSnapshot>> TrainedPolicy::Snapshot(
    const v1::WeightVersion& version) {
  REIN_RETURN_IF_ERROR(CheckVersion(version));
  std::shared_ptr<const WeightSnapshot> snapshot = snapshot_.lock();
  if (snapshot != nullptr && Equal(snapshot->version, version)) return snapshot;
  REIN_ASSIGN_OR_RETURN(snapshot, TakeSnapshot(loaded_.model->tensors(), version));
  snapshot_ = snapshot;
  return snapshot;
}

}  // namespace rein::policy
