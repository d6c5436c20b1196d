#include "learning/multiplier.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace rein::learning {
namespace {

// The released code clamps the multiplier's loss to this range, so that its gradient vanishes outside.
constexpr double kLossLimit = 1e6;

}  // namespace

absl::StatusOr<Signal> ParseSignal(const std::string& name) {
  if (name == "raw") return Signal::kRaw;
  if (name == "hinge") return Signal::kHinge;
  if (name == "sigmoid") return Signal::kSigmoid;
  if (name == "violation") return Signal::kViolation;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown signal '", name, "'; allowed: raw, hinge, sigmoid, violation"));
}

double ApplySignal(Signal signal, double cost) {
  switch (signal) {
    case Signal::kRaw:
      return cost;
    case Signal::kHinge:
      return std::max(cost, 0.0);
    case Signal::kSigmoid:
      return 1.0 / (1.0 + std::exp(-cost));
    case Signal::kViolation:
      return cost > 0 ? 1.0 : 0.0;
  }
  return cost;
}

absl::StatusOr<ControllerKind> ParseControllerKind(const std::string& name) {
  if (name == "log_sgd") return ControllerKind::kLogSgd;
  if (name == "additive") return ControllerKind::kAdditive;
  if (name == "pid") return ControllerKind::kPid;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown controller '", name, "'; allowed: log_sgd, additive, pid"));
}

Multiplier::Multiplier(double threshold, int64_t window, const ControllerOptions& options)
    : threshold_(threshold), window_(window), options_(options) {
  state_.lambda = std::clamp(options.initial, options.floor, options.max);
  state_.integral = state_.lambda;
}

double Multiplier::window_mean() const {
  if (state_.window.empty()) return 0;
  const double sum = std::accumulate(state_.window.begin(), state_.window.end(), 0.0);
  return sum / static_cast<double>(state_.window.size());
}

void Multiplier::Step(const std::vector<double>& signals) {
  for (const double signal : signals) state_.window.push_back(signal);
  while (static_cast<int64_t>(state_.window.size()) > window_) state_.window.pop_front();
  if (state_.window.empty()) return;
  if (state_.held) {
    state_.held = signals.empty();
    return;
  }
  ++state_.updates;
  if (state_.updates <= options_.delay_steps) return;
  state_.lambda = std::clamp(NextLambda(window_mean()), options_.floor, options_.max);
}

double Multiplier::NextLambda(double mean) {
  const double error = mean - threshold_;
  switch (options_.kind) {
    case ControllerKind::kLogSgd: {
      if (std::abs(state_.lambda * error) > kLossLimit) return state_.lambda;
      return state_.lambda * std::exp(options_.learning_rate * state_.lambda * error);
    }
    case ControllerKind::kAdditive:
      return state_.lambda + options_.learning_rate * error;
    case ControllerKind::kPid:
      break;
  }
  // The integral is clamped to the range that lambda may take, so that it never winds up.
  state_.integral =
      std::clamp(state_.integral + options_.learning_rate * error, options_.floor, options_.max);
  const double smoothing = options_.derivative_smoothing;
  state_.smoothed = state_.has_previous ? smoothing * state_.smoothed + (1 - smoothing) * mean : mean;
  const double slope = state_.has_previous ? state_.smoothed - state_.previous_smoothed : 0.0;
  state_.previous_smoothed = state_.smoothed;
  state_.has_previous = true;
  return state_.integral + options_.proportional * error + options_.derivative * slope;
}

void Multiplier::ScorerChanged() {
  state_.window.clear();
  state_.integral = state_.lambda;
  state_.smoothed = 0;
  state_.previous_smoothed = 0;
  state_.has_previous = false;
  state_.held = true;
}

}  // namespace rein::learning
