#include "learning/multiplier.h"

#include <cmath>

#include "gtest/gtest.h"

namespace rein::learning {
namespace {

ControllerOptions Options(ControllerKind kind, double rate, double initial) {
  ControllerOptions options;
  options.kind = kind;
  options.learning_rate = rate;
  options.initial = initial;
  return options;
}

TEST(Signal, IsAppliedAsNamed) {
  EXPECT_EQ(ApplySignal(*ParseSignal("raw"), -2), -2);
  EXPECT_EQ(ApplySignal(*ParseSignal("hinge"), -2), 0);
  EXPECT_EQ(ApplySignal(*ParseSignal("hinge"), 2), 2);
  EXPECT_NEAR(ApplySignal(*ParseSignal("sigmoid"), 0), 0.5, 1e-12);
  EXPECT_EQ(ApplySignal(*ParseSignal("violation"), 0), 0);
  EXPECT_EQ(ApplySignal(*ParseSignal("violation"), 0.1), 1);
}

TEST(Signal, AnUnknownNameListsTheAllowedOnes) {
  const absl::Status status = ParseSignal("cooked").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("raw, hinge, sigmoid, violation"), std::string::npos);
}

TEST(LogSgd, FollowsTheReleasedFormula) {
  Multiplier multiplier(-0.5, 128, Options(ControllerKind::kLogSgd, 0.1, 10));
  multiplier.Step({-0.7, -0.5});
  EXPECT_NEAR(multiplier.lambda(), 10 * std::exp(0.1 * 10 * (-0.6 + 0.5)), 1e-12);
}

TEST(LogSgd, StopsAtItsMaximum) {
  Multiplier multiplier(-0.5, 128, Options(ControllerKind::kLogSgd, 0.1, 10));
  multiplier.Step({9.5});
  EXPECT_EQ(multiplier.lambda(), 20);
}

TEST(LogSgd, RestsWhereTheLossIsClamped) {
  Multiplier multiplier(0, 4, Options(ControllerKind::kLogSgd, 0.1, 10));
  multiplier.Step({-2e5});
  EXPECT_EQ(multiplier.lambda(), 10);
}

// From 0.06 back to 1 takes 159 steps at J - d = 1: nearly absorbing, hence the floor.
TEST(LogSgd, IsSlowToReturnFromNearZero) {
  Multiplier multiplier(0, 1, Options(ControllerKind::kLogSgd, 0.1, 0.06));
  int steps = 0;
  while (multiplier.lambda() < 1) {
    multiplier.Step({1.0});
    ++steps;
  }
  EXPECT_NEAR(steps, 159, 2);
}

TEST(LogSgd, DoesNotFallBelowItsFloor) {
  ControllerOptions options = Options(ControllerKind::kLogSgd, 0.1, 1);
  options.floor = 0.5;
  Multiplier multiplier(0, 1, options);
  multiplier.Step({-100});
  EXPECT_EQ(multiplier.lambda(), 0.5);
}

TEST(Additive, MovesByTheErrorAndStaysAboveZero) {
  Multiplier multiplier(0.5, 4, Options(ControllerKind::kAdditive, 0.1, 1));
  multiplier.Step({1.5});
  EXPECT_NEAR(multiplier.lambda(), 1.1, 1e-12);
  multiplier.Step({-100});
  EXPECT_EQ(multiplier.lambda(), 0);
}

TEST(Pid, AddsProportionalAndIntegralParts) {
  ControllerOptions options = Options(ControllerKind::kPid, 0.1, 1);
  options.proportional = 2;
  Multiplier multiplier(0, 1, options);
  multiplier.Step({0.5});
  EXPECT_NEAR(multiplier.lambda(), 1.05 + 1.0, 1e-12);
}

TEST(Pid, DoesNotWindUp) {
  Multiplier multiplier(0, 1, Options(ControllerKind::kPid, 1, 1));
  for (int i = 0; i < 1000; ++i) multiplier.Step({10});
  EXPECT_EQ(multiplier.lambda(), 20);
  for (int i = 0; i < 20; ++i) multiplier.Step({-1});
  EXPECT_LT(multiplier.lambda(), 1.0);
}

TEST(Pid, TheDerivativeDampsAFallingCost) {
  ControllerOptions options = Options(ControllerKind::kPid, 0.1, 5);
  Multiplier without(0, 1, options);
  options.derivative = 3;
  Multiplier with(0, 1, options);
  for (Multiplier* multiplier : {&without, &with}) {
    multiplier->Step({2});
    multiplier->Step({1});
  }
  EXPECT_LT(with.lambda(), without.lambda());
}

TEST(Window, KeepsTheNewestInSampleOrder) {
  Multiplier multiplier(0, 3, Options(ControllerKind::kAdditive, 0.1, 1));
  multiplier.Step({1, 2});
  multiplier.Step({3, 4});
  EXPECT_EQ(multiplier.window_mean(), 3);
}

TEST(Window, AnEmptyOneChangesNothing) {
  Multiplier multiplier(0, 3, Options(ControllerKind::kAdditive, 0.1, 1));
  multiplier.Step({});
  EXPECT_EQ(multiplier.lambda(), 1);
  EXPECT_EQ(multiplier.state().updates, 0);
}

TEST(Delay, HoldsTheFirstUpdates) {
  ControllerOptions options = Options(ControllerKind::kAdditive, 0.1, 1);
  options.delay_steps = 1;
  Multiplier multiplier(0, 3, options);
  multiplier.Step({1});
  EXPECT_EQ(multiplier.lambda(), 1);
  multiplier.Step({1});
  EXPECT_NEAR(multiplier.lambda(), 1.1, 1e-12);
}

TEST(Swap, ClearsTheWindowAndHoldsLambdaForOneBatch) {
  Multiplier multiplier(0, 8, Options(ControllerKind::kPid, 0.1, 1));
  multiplier.Step({5});
  const double held = multiplier.lambda();
  multiplier.ScorerChanged();
  EXPECT_EQ(multiplier.window_mean(), 0);
  multiplier.Step({-3});
  EXPECT_EQ(multiplier.lambda(), held);
  multiplier.Step({-3});
  EXPECT_LT(multiplier.lambda(), held);
}

TEST(State, RestoringContinuesBitForBit) {
  ControllerOptions options = Options(ControllerKind::kPid, 0.07, 1.3);
  options.derivative = 0.4;
  Multiplier whole(0.1, 5, options);
  for (const double cost : {0.3, -0.2, 0.9}) whole.Step({cost, cost / 3});
  Multiplier resumed(0.1, 5, options);
  resumed.Restore(whole.state());
  for (const double cost : {0.4, -0.7, 0.123456789}) {
    whole.Step({cost});
    resumed.Step({cost});
    EXPECT_EQ(whole.lambda(), resumed.lambda());
  }
}

}  // namespace
}  // namespace rein::learning
