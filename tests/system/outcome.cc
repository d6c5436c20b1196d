#include "tests/system/outcome.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"

namespace rein::system_test {

using ::testing::IsEmpty;

Outcome OutcomeOf(const Job& job, int steps) {
  Outcome outcome;
  for (const auto& line : Metrics(job.folder())) {
    outcome.lambdas.push_back(line["constraints"]["cost"]["lambda"].get<double>());
  }
  outcome.weights = Bytes(job.folder() / absl::StrCat("checkpoints/step-", steps) /
                          "policy-policy/model/model.safetensors");
  return outcome;
}

void ExpectSameOutcome(const Job& job, int steps, const Outcome& undisturbed) {
  const Outcome outcome = OutcomeOf(job, steps);
  EXPECT_EQ(outcome.lambdas.size(), steps);
  EXPECT_EQ(outcome.lambdas, undisturbed.lambdas);
  EXPECT_TRUE(outcome.weights == undisturbed.weights) << "policy weights differ";
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
}

void ExpectUndisturbed(const Job& job, int steps, const Outcome& undisturbed) {
  ExpectSameOutcome(job, steps, undisturbed);
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0],
            std::to_string(steps * 8));
  EXPECT_THAT(QueryLedger(job.folder(),
                          "SELECT prompt_id FROM samples WHERE state = 'consumed' GROUP BY prompt_id "
                          "HAVING COUNT(DISTINCT step) > 1 OR COUNT(*) != 2"),
              IsEmpty());
}

}  // namespace rein::system_test
