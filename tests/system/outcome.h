// What a deterministic job must come to, however it was disturbed.
#pragma once

#include <string>
#include <vector>

#include "tests/system/world.h"

namespace rein::system_test {

struct Outcome {
  std::vector<double> lambdas;  // [steps]
  std::string weights;          // of the policy after the last step, bytes
};
Outcome OutcomeOf(const Job& job, int steps);

// The same multiplier path and the same weights, bit for bit; no process left.
void ExpectSameOutcome(const Job& job, int steps, const Outcome& undisturbed);

// And every prompt consumed once, with both of its samples (from the ledger).
void ExpectUndisturbed(const Job& job, int steps, const Outcome& undisturbed);

}  // namespace rein::system_test
