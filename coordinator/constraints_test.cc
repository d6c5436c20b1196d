#include "coordinator/constraints.h"

#include <map>
#include <string>
#include <utility>

#include "base/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

v1::Constraint* AddConstraint(v1::Job& job, const std::string& name, const std::string& kind) {
  v1::Constraint* constraint = job.add_constraints();
  constraint->set_name(name);
  constraint->set_threshold(0.1);
  constraint->set_signal("raw");
  constraint->set_window(6);
  v1::Controller* controller = constraint->mutable_controller();
  controller->set_kind(kind);
  controller->set_learning_rate(0.07);
  controller->set_initial(1.5);
  controller->set_max(20);
  controller->set_proportional(0.3);
  controller->set_derivative(0.4);
  controller->set_derivative_smoothing(0.9);
  return constraint;
}

v1::Job JobOf(const std::string& mode) {
  v1::Job job;
  job.mutable_algorithm()->set_mode(mode);
  AddConstraint(job, "cost", "pid");
  AddConstraint(job, "privacy", "log_sgd")->set_signal("violation");
  return job;
}

Constraints Of(const v1::Job& job) {
  absl::StatusOr<Constraints> constraints = Constraints::FromJob(job);
  EXPECT_TRUE(constraints.ok()) << constraints.status();
  return constraints.ok() ? *std::move(constraints) : Constraints();
}

// The refusal of a job after `change`.
std::string Refusal(void (*change)(v1::Job&)) {
  v1::Job job = JobOf("safe_rlhf_v");
  change(job);
  const absl::Status status = Constraints::FromJob(job).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Constraints, EachHasItsOwnSignalWindowAndController) {
  Constraints constraints = Of(JobOf("safe_rlhf_v"));
  learning::ControllerOptions pid;
  pid.learning_rate = 0.07;
  pid.initial = 1.5;
  pid.proportional = 0.3;
  pid.derivative = 0.4;
  learning::ControllerOptions log_sgd = pid;
  log_sgd.kind = learning::ControllerKind::kLogSgd;
  learning::Multiplier cost(0.1, 6, pid), privacy(0.1, 6, log_sgd);
  for (const double raw : {0.4, -0.7, 1.3}) {
    cost.Step({raw, 1.0});
    privacy.Step({raw > 0 ? 1.0 : 0.0, 1.0});
    const std::vector<double> lambdas =
        constraints.Step({{constraints.Signal(0, raw), constraints.Signal(0, 1)},
                          {constraints.Signal(1, raw), constraints.Signal(1, 1)}});
    EXPECT_THAT(lambdas, ElementsAre(cost.lambda(), privacy.lambda()));
  }
  EXPECT_EQ(constraints.name(1), "privacy");
}

TEST(Constraints, ModesHoldLambdaStillAndFillTheWindows) {
  for (const auto& [mode, lambda] :
       {std::pair<const char*, double>{"ppo_reward", 0}, {"ppo_cost", 1}, {"fixed_lambda", 1.5}}) {
    Constraints constraints = Of(JobOf(mode));
    EXPECT_EQ(constraints.lambda(0), lambda) << mode;
    EXPECT_THAT(constraints.Step({{9, 7}, {1, 0}}), ElementsAre(lambda, lambda)) << mode;
    EXPECT_THAT(constraints.Step({{-9, 1}, {1, 1}}), ElementsAre(lambda, lambda)) << mode;
    EXPECT_EQ(constraints.multiplier(0).window_mean(), 2) << mode;
    EXPECT_EQ(constraints.multiplier(1).window_mean(), 0.75) << mode;
  }
}

TEST(Constraints, ASwapHoldsOnlyTheConstraintThatItConcerns) {
  Constraints constraints = Of(JobOf("safe_rlhf_v"));
  const std::vector<double> before = constraints.Step({{3, 2}, {1, 1}});
  constraints.ScorerChanged("cost");
  constraints.ScorerChanged("reward");
  EXPECT_TRUE(constraints.multiplier(0).state().held);
  EXPECT_TRUE(constraints.multiplier(0).state().window.empty());
  EXPECT_FALSE(constraints.multiplier(1).state().held);
  const std::vector<double> during = constraints.Step({{5, 5}, {1, 1}});
  EXPECT_EQ(during[0], before[0]);
  EXPECT_GT(during[1], before[1]);
  EXPECT_GT(constraints.Step({{5, 5}, {1, 1}})[0], before[0]);
}

TEST(Constraints, AJobWithoutThemHasNoLambda) {
  v1::Job job;
  job.mutable_algorithm()->set_mode("ppo_reward");
  Constraints constraints = Of(job);
  EXPECT_EQ(constraints.size(), 0u);
  EXPECT_THAT(constraints.Step({}), ElementsAre());
  EXPECT_EQ(constraints.Restore(constraints.ToJson()), absl::OkStatus());
}

TEST(Constraints, RefuseAJobThatNamesWhatThereIsNot) {
  EXPECT_THAT(Refusal([](v1::Job& job) { job.mutable_algorithm()->set_mode("grpo"); }), HasSubstr("'grpo'"));
  EXPECT_THAT(Refusal([](v1::Job& job) { job.clear_constraints(); }), HasSubstr("needs a constraint"));
  EXPECT_THAT(Refusal([](v1::Job& job) { job.mutable_constraints(1)->set_signal("cooked"); }),
              testing::AllOf(HasSubstr("'privacy'"), HasSubstr("'cooked'")));
  EXPECT_THAT(
      Refusal([](v1::Job& job) { job.mutable_constraints(0)->mutable_controller()->set_kind("bang"); }),
      testing::AllOf(HasSubstr("'cost'"), HasSubstr("'bang'")));
}

void ExpectEqual(const learning::Multiplier::State& a, const learning::Multiplier::State& b) {
  EXPECT_EQ(a.lambda, b.lambda);
  EXPECT_EQ(a.integral, b.integral);
  EXPECT_EQ(a.smoothed, b.smoothed);
  EXPECT_EQ(a.previous_smoothed, b.previous_smoothed);
  EXPECT_EQ(a.has_previous, b.has_previous);
  EXPECT_EQ(a.updates, b.updates);
  EXPECT_EQ(a.held, b.held);
  EXPECT_EQ(a.window, b.window);
}

TEST(ConstraintsState, ContinuesBitForBitAfterDumpAndParse) {
  CounterRandom random(20240607);
  const auto batch = [&random] {
    std::vector<std::vector<double>> signals(2);
    for (auto& column : signals) column = {random.Uniform() * 3 - 1, random.Uniform() / 3, 1e-300};
    return signals;
  };
  const v1::Job job = JobOf("safe_rlhf_v");
  Constraints whole = Of(job);
  for (int step = 0; step < 12; ++step) {
    if (step == 7) whole.ScorerChanged("privacy");
    Constraints resumed = Of(job);
    ASSERT_EQ(resumed.Restore(json::parse(whole.ToJson().dump())), absl::OkStatus());
    for (size_t c = 0; c < 2; ++c) ExpectEqual(resumed.multiplier(c).state(), whole.multiplier(c).state());
    const auto signals = batch();
    EXPECT_EQ(resumed.Step(signals), whole.Step(signals));
  }
}

TEST(ConstraintsState, TakesWhatWasNeverDumped) {
  Constraints constraints = Of(JobOf("safe_rlhf_v"));
  constraints.Step({{1}, {0}});
  Constraints other = Of(JobOf("safe_rlhf_v"));
  ASSERT_EQ(other.Restore(constraints.ToJson()), absl::OkStatus());
  ExpectEqual(other.multiplier(0).state(), constraints.multiplier(0).state());
}

TEST(ConstraintsState, OfAnotherJobIsRefused) {
  const Constraints constraints = Of(JobOf("safe_rlhf_v"));
  v1::Job renamed = JobOf("safe_rlhf_v");
  renamed.mutable_constraints(1)->set_name("hate");
  EXPECT_THAT(Of(renamed).Restore(constraints.ToJson()).message(),
              testing::AllOf(HasSubstr("[cost, privacy]"), HasSubstr("[cost, hate]")));
  EXPECT_THAT(Of(JobOf("fixed_lambda")).Restore(constraints.ToJson()).message(), HasSubstr("'safe_rlhf_v'"));
}

TEST(ConstraintsState, ThatIsBrokenIsRefusedAndChangesNothing) {
  Constraints constraints = Of(JobOf("safe_rlhf_v"));
  constraints.Step({{1, 2}, {0, 1}});
  const json good = constraints.ToJson();
  const auto refusal = [&](const json& bad) {
    const absl::Status status = constraints.Restore(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(constraints.ToJson(), good) << bad;
    return std::string(status.message());
  };
  for (const json& bad : {json(), json(3), json::array(), json::object(), json{{"constraints", 1}}}) {
    EXPECT_THAT(refusal(bad), HasSubstr("not an object with a list"));
  }
  const std::map<std::string, std::vector<json>> wrong = {{"lambda", {nullptr, "1", json::array()}},
                                                          {"integral", {true}},
                                                          {"has_previous", {1, nullptr}},
                                                          {"updates", {-1, 1.5, 18446744073709551615u}},
                                                          {"held", {"no"}},
                                                          {"window", {3, {{"a", 1}}, {1, "2"}, {nullptr}}}};
  for (const auto& [field, values] : wrong) {
    for (const json& value : values) {
      json bad = good;
      bad["constraints"][1][field] = value;
      EXPECT_THAT(refusal(bad), testing::AllOf(HasSubstr("'privacy'"), HasSubstr(field)));
    }
    json bad = good;
    bad["constraints"][1].erase(field);
    EXPECT_THAT(refusal(bad), HasSubstr(field + " must be"));
  }
  json bad = good;
  bad["constraints"][0] = "cost";
  EXPECT_THAT(refusal(bad), HasSubstr("[, privacy]"));
}

}  // namespace
}  // namespace rein::coordinator
