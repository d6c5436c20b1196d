// Lagrange multipliers: one controller per constraint (docs/algorithm.md, multiplier).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::learning {

// What is constrained, as a function of a raw cost C.
enum class Signal { kRaw, kHinge, kSigmoid, kViolation };
absl::StatusOr<Signal> ParseSignal(const std::string& name);
double ApplySignal(Signal signal, double cost);

enum class ControllerKind { kLogSgd, kAdditive, kPid };
absl::StatusOr<ControllerKind> ParseControllerKind(const std::string& name);

struct ControllerOptions {
  ControllerKind kind = ControllerKind::kPid;
  double learning_rate = 0.1;  // pid: integral gain
  double initial = 1.0;
  double max = 20.0;
  double floor = 0.0;
  double proportional = 1.0;
  double derivative = 0.0;
  double derivative_smoothing = 0.9;
  int64_t delay_steps = 0;
};

// The multiplier of one constraint with its window of episode signals. All state is in State: storing and
// restoring it continues bit for bit.
class Multiplier {
 public:
  struct State {
    double lambda = 0;
    double integral = 0;
    double smoothed = 0;  // cost that the derivative sees
    double previous_smoothed = 0;
    bool has_previous = false;
    int64_t updates = 0;        // calls of Step that had a window
    bool held = false;          // after a swap, until a full batch has been scored
    std::deque<double> window;  // newest last
  };

  // threshold: d, in units of the signal. window: at least one batch.
  Multiplier(double threshold, int64_t window, const ControllerOptions& options);

  // Appends the signals of one step, in sample order, and steps lambda. Empty `signals` and an empty window:
  // no change. After ScorerChanged the first batch only fills the window.
  void Step(const std::vector<double>& signals);
  // The scorer was swapped: window cleared, controller memory reset, lambda held until a full batch has been
  // scored.
  void ScorerChanged();

  double lambda() const { return state_.lambda; }
  double threshold() const { return threshold_; }
  // Mean of the window; 0 when it is empty.
  double window_mean() const;
  const State& state() const { return state_; }
  void Restore(State state) { state_ = std::move(state); }

 private:
  double NextLambda(double mean);

  double threshold_;
  int64_t window_;
  ControllerOptions options_;
  State state_;
};

}  // namespace rein::learning
