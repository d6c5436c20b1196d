// Shaping, generalised advantage estimation and mixing, on plain spans (docs/algorithm.md, shaping and
// advantages).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace rein::learning {

// Per-token columns of one response; every span has its length L >= 1.
struct ShapingInput {
  absl::Span<const float> behaviour_logprobs;
  absl::Span<const float> reference_logprobs;
  double kl_coefficient = 0.02;
  double clip = 50.0;
};

// -beta kl_t + [t = last] score, clamped; kl_t = behaviour - reference.
std::vector<float> ShapeReward(const ShapingInput& input, double score);
// +beta kl_t + [t = last] signal, clamped.
std::vector<float> ShapeCost(const ShapingInput& input, double signal);
// Sum over tokens of kl_t, nats.
double SequenceKl(const ShapingInput& input);

struct Advantages {
  std::vector<float> advantages;
  std::vector<float> returns;  // advantages + values
};
// GAE with V = 0 past the end. rewards, values: [L].
Advantages Gae(absl::Span<const float> rewards, absl::Span<const float> values, double gamma, double lambda);

// (A_r - sum_i lambda_i A_ci) / (1 + sum_i lambda_i), token by token. `reward_weight` 0 leaves the reward out
// (cost only).
std::vector<float> MixAdvantages(absl::Span<const float> reward, absl::Span<const std::vector<float>> costs,
                                 absl::Span<const double> lambdas, double reward_weight = 1.0);

// Shifts and scales all values of a batch to mean 0 and standard deviation 1, in place; a batch without
// spread is only shifted.
void Whiten(absl::Span<std::vector<float>> batch);

// Wilson score interval of a rate at 95 %.
struct Interval {
  double low = 0;
  double high = 0;
};
Interval WilsonInterval(int64_t hits, int64_t trials);

}  // namespace rein::learning
