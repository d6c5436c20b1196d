// Answers of a policy for the guardrail.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "cli/offline/answering.h"
#include "guard/guardrail.h"

namespace rein::cli {

class PolicyGenerator : public guard::Generator {
 public:
  // The policy outlives the generator.
  PolicyGenerator(const ModelFolder& policy, const rollout::SamplingParams& params)
      : policy_(policy), params_(params) {}

  // An answer depends on its question, prompt and seed only, up to rounding. Attempts that AnswerQuestions
  // has a problem with fail alone.
  absl::StatusOr<std::vector<guard::Generated>> Generate(absl::Span<const guard::Attempt> attempts) override;

 private:
  const ModelFolder& policy_;
  const rollout::SamplingParams params_;
};

}  // namespace rein::cli
