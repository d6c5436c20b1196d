#include "learning/advantage.h"

#include <algorithm>
#include <cmath>

namespace rein::learning {
namespace {

// sign * beta * kl_t, with `terminal` added at the last token, clamped.
std::vector<float> Shape(const ShapingInput& input, double sign, double terminal) {
  const size_t length = input.behaviour_logprobs.size();
  std::vector<float> shaped(length);
  for (size_t t = 0; t < length; ++t) {
    const double kl = static_cast<double>(input.behaviour_logprobs[t]) - input.reference_logprobs[t];
    const double value = sign * input.kl_coefficient * kl + (t + 1 == length ? terminal : 0.0);
    shaped[t] = static_cast<float>(std::clamp(value, -input.clip, input.clip));
  }
  return shaped;
}

}  // namespace

std::vector<float> ShapeReward(const ShapingInput& input, double score) { return Shape(input, -1.0, score); }

std::vector<float> ShapeCost(const ShapingInput& input, double signal) { return Shape(input, 1.0, signal); }

double SequenceKl(const ShapingInput& input) {
  double sum = 0;
  for (size_t t = 0; t < input.behaviour_logprobs.size(); ++t) {
    sum += static_cast<double>(input.behaviour_logprobs[t]) - input.reference_logprobs[t];
  }
  return sum;
}

Advantages Gae(absl::Span<const float> rewards, absl::Span<const float> values, double gamma, double lambda) {
  const size_t length = rewards.size();
  Advantages result{std::vector<float>(length), std::vector<float>(length)};
  double advantage = 0;
  double next_value = 0;
  for (size_t t = length; t-- > 0;) {
    const double delta = rewards[t] + gamma * next_value - values[t];
    advantage = delta + gamma * lambda * advantage;
    next_value = values[t];
    result.advantages[t] = static_cast<float>(advantage);
    result.returns[t] = static_cast<float>(advantage + values[t]);
  }
  return result;
}

std::vector<float> MixAdvantages(absl::Span<const float> reward, absl::Span<const std::vector<float>> costs,
                                 absl::Span<const double> lambdas, double reward_weight) {
  double denominator = 1;
  for (const double lambda : lambdas) denominator += lambda;
  std::vector<float> mixed(reward.size());
  for (size_t t = 0; t < reward.size(); ++t) {
    double sum = reward_weight * reward[t];
    for (size_t i = 0; i < costs.size(); ++i) sum -= lambdas[i] * costs[i][t];
    mixed[t] = static_cast<float>(sum / denominator);
  }
  return mixed;
}

void Whiten(absl::Span<std::vector<float>> batch) {
  double sum = 0, squares = 0;
  int64_t count = 0;
  for (const std::vector<float>& row : batch) {
    for (const float value : row) {
      sum += value;
      squares += static_cast<double>(value) * value;
      ++count;
    }
  }
  if (count == 0) return;
  const double mean = sum / static_cast<double>(count);
  const double variance = std::max(0.0, squares / static_cast<double>(count) - mean * mean);
  const double scale = variance > 1e-12 ? 1.0 / std::sqrt(variance) : 1.0;
  for (std::vector<float>& row : batch) {
    for (float& value : row) value = static_cast<float>((value - mean) * scale);
  }
}

Interval WilsonInterval(int64_t hits, int64_t trials) {
  if (trials <= 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal distribution
  const double n = static_cast<double>(trials);
  const double rate = static_cast<double>(hits) / n;
  const double centre = rate + kZ * kZ / (2 * n);
  const double spread = kZ * std::sqrt(rate * (1 - rate) / n + kZ * kZ / (4 * n * n));
  const double scale = 1 + kZ * kZ / n;
  return {std::max(0.0, (centre - spread) / scale), std::min(1.0, (centre + spread) / scale)};
}

}  // namespace rein::learning
