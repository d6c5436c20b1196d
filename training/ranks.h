// The processes that train one model together: data parallelism.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collectives/weight_group.h"
#include "models/vision_language_model.h"
#include "training/rl_trainer.h"

namespace rein::training {

// Every rank holds the whole model, computes a part of each batch, and takes the same steps. All ranks make
// the same calls in the same order; each call waits for all of them. A process that trains alone is the only
// rank, and nothing is sent. Errors of all calls: UNAVAILABLE (a rank is gone), DEADLINE_EXCEEDED (it does
// not answer within the group's timeout); there is no going on after them.
class Ranks {
 public:
  Ranks() = default;
  explicit Ranks(std::unique_ptr<collectives::WeightGroup> group) : group_(std::move(group)) {}

  int rank() const { return group_ ? group_->rank() : 0; }
  int world() const { return group_ ? group_->world() : 1; }
  bool is_first() const { return rank() == 0; }

  // The error of the lowest rank that has one, the same on all ranks; OK where none has.
  absl::Status Agree(const absl::Status& mine);
  // Runs `work` on rank 0 only; all ranks get its status.
  absl::Status OnFirst(const std::function<absl::Status()>& work);
  // What each rank gives, by rank.
  absl::StatusOr<std::vector<std::string>> Gather(const std::string& mine);
  // Sums by name; a name that a rank lacks counts 0 there.
  absl::StatusOr<Metrics> Sum(const Metrics& mine);
  // Adds up the gradients (float32) of all ranks: every rank gets the same bits. A parameter without one on
  // some ranks counts 0 there, without one on all ranks it stays without.
  absl::Status SumGradients(const models::NamedTensors& parameters);

 private:
  absl::Status SumBucket(const std::vector<at::Tensor>& parameters);

  std::unique_ptr<collectives::WeightGroup> group_;  // null: alone
};

}  // namespace rein::training
