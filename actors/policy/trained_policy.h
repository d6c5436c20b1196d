// The policy's trainable state: model, trainer, PTX data, version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/host.h"
#include "actors/host/loaded_model.h"
#include "actors/host/role.h"
#include "actors/host/trainable.h"
#include "actors/policy/ptx_data.h"
#include "actors/policy/weight_snapshot.h"
#include "rein/v1/trainable.pb.h"
#include "training/rl_trainer.h"

namespace rein::policy {

using Batch = std::vector<v1::PolicySample>;

// Executor thread, but for version().
class TrainedPolicy : public host::Trainable {
 public:
  explicit TrainedPolicy(host::Host* host) : host::Trainable(host), host_(host) {}

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration);

  // One optimizer step on `batch`, mixed with a PTX batch where the job has one. Errors: those of
  // Trainable::Step, host::ToSequence and PolicyTrainer::Step.
  absl::StatusOr<training::Metrics> Train(const Batch& batch, const v1::TrainHeader& header,
                                          const training::ProgressFn& progress);

  // Shared by all who read the same version. Errors: FAILED_PRECONDITION (the weights are at another
  // version).
  absl::StatusOr<std::shared_ptr<const WeightSnapshot>> Snapshot(const v1::WeightVersion& version);
  // Errors: FAILED_PRECONDITION (the weights are at another version).
  absl::Status CheckVersion(const v1::WeightVersion& wanted) const;
  // Aliases the live weights, adapters merged.
  const models::NamedTensors& tensors() const { return loaded_.model->tensors(); }

 protected:
  models::VisionLanguageModel& model() override { return *loaded_.model; }
  training::AdamW& optimizer() override { return trainer_->optimizer(); }
  models::Lora* lora() override { return trainer_->lora(); }
  absl::Status Restart() override;

 private:
  absl::Status LoadPtx();
  absl::StatusOr<std::vector<training::SupervisedSequence>> DrawPtx(int64_t step);

  host::Host* const host_;
  host::Configuration configuration_;
  host::LoadedModel loaded_;
  std::optional<PtxData> ptx_;
  std::unique_ptr<training::PolicyTrainer> trainer_;
  std::weak_ptr<const WeightSnapshot> snapshot_;
};

}  // namespace rein::policy
