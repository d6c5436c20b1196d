// The safety constraints of a job: a signal, a window and a multiplier each, and the modes that hold the
// multipliers still.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learning/multiplier.h"
#include "nlohmann/json.hpp"
#include "rein/v1/job.pb.h"

namespace rein::coordinator {

// One thread. Constraints are counted in the job's order.
class Constraints {
 public:
  // Errors: INVALID_ARGUMENT (unknown mode, signal or controller; no constraint in a mode that needs one).
  static absl::StatusOr<Constraints> FromJob(const v1::Job& job);

  // Appends the signals of a batch, [constraint][row] in sample order, and steps every multiplier; with mode
  // ppo_reward lambda is 0, with ppo_cost the reward is left out and lambda 1, with fixed_lambda it stays at
  // `initial`; windows are filled in every mode. Returns the lambdas that mix this batch.
  std::vector<double> Step(const std::vector<std::vector<double>>& signals);
  // The cost scorer of this constraint was swapped. A name that is no constraint's (the reward's scorer)
  // changes nothing.
  void ScorerChanged(const std::string& name);

  double Signal(size_t constraint, double cost) const;
  double lambda(size_t constraint) const { return multipliers_[constraint].lambda(); }
  size_t size() const { return multipliers_.size(); }
  const learning::Multiplier& multiplier(size_t constraint) const { return multipliers_[constraint]; }
  const std::string& name(size_t constraint) const { return names_[constraint]; }

  // All state, exact also after dump and parse; Restore takes what ToJson gave, whole or not at all.
  // Errors: INVALID_ARGUMENT (constraints or mode of another job, not such a state: says where).
  nlohmann::json ToJson() const;
  absl::Status Restore(const nlohmann::json& state);

 private:
  std::string mode_;
  std::vector<std::string> names_;
  std::vector<learning::Signal> signals_;
  std::vector<learning::Multiplier> multipliers_;
};

}  // namespace rein::coordinator
