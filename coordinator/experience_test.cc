#include "coordinator/experience.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "learning/advantage.h"

namespace rein::coordinator {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

auto Near(const std::vector<float>& expected, float tolerance = 1e-6f) {
  std::vector<testing::Matcher<float>> matchers;
  for (const float value : expected) matchers.push_back(FloatNear(value, tolerance));
  return testing::ElementsAreArray(matchers);
}

v1::Job JobOf(const std::string& mode, int constraints = 1) {
  v1::Job job;
  v1::Algorithm* algorithm = job.mutable_algorithm();
  algorithm->set_mode(mode);
  algorithm->set_kl_coefficient(0.02);
  algorithm->set_shaping_clip(50);
  algorithm->set_gamma(1);
  algorithm->set_gae_lambda(0.95);
  algorithm->set_loss_mean("sequence");
  for (int c = 0; c < constraints; ++c) {
    v1::Constraint* constraint = job.add_constraints();
    constraint->set_name(absl::StrCat("cost", c));
    constraint->set_threshold(-0.5);
    constraint->set_signal("raw");
    constraint->set_window(128);
    constraint->mutable_controller()->set_kind("log_sgd");
    constraint->mutable_controller()->set_learning_rate(0.1);
    constraint->mutable_controller()->set_initial(10);
    constraint->mutable_controller()->set_max(20);
  }
  return job;
}

Constraints ConstraintsOf(const v1::Job& job) {
  absl::StatusOr<Constraints> constraints = Constraints::FromJob(job);
  EXPECT_TRUE(constraints.ok()) << constraints.status();
  return constraints.ok() ? *std::move(constraints) : Constraints();
}

void SetTokens(ScoredRow& row, const std::vector<float>& behaviour, const std::vector<float>& reference) {
  row.sample.mutable_behaviour_logprobs()->Assign(behaviour.begin(), behaviour.end());
  row.reference_logprobs = reference;
  for (size_t t = 0; t < behaviour.size(); ++t) {
    row.sample.add_response_tokens(static_cast<int32_t>(100 + t));
  }
}

// The golden vectors of docs/algorithm.md.
ScoredRow GoldenRow() {
  ScoredRow row;
  row.sample.set_sample_id("17.0/1");
  row.sample.set_finish_reason(v1::FINISH_REASON_STOP);
  SetTokens(row, {-1, -.5f, -2, -.1f}, {-1.2f, -.4f, -1.5f, -.3f});
  row.category = "benign";
  row.reward = 1.5;
  row.reward_values = {.2f, .1f, .4f, .3f};
  row.costs = {-0.7};
  row.cost_values = {{-.1f, .05f, 0, -.2f}};
  return row;
}

// Numbers with few binary digits, so that sums do not depend on their order.
ScoredRow RandomRow(CounterRandom& random, int i, size_t constraints) {
  const auto number = [&random] { return static_cast<float>(random.Below(64)) / 16 - 2; };
  const size_t length = 1 + random.Below(9);
  const auto column = [&] {
    std::vector<float> values(length);
    for (float& value : values) value = number();
    return values;
  };
  ScoredRow row;
  row.sample.set_sample_id(absl::StrCat(i, ".0/0"));
  row.sample.set_finish_reason(random.Below(2) ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH);
  SetTokens(row, column(), column());
  row.category = i % 3 == 0 ? "benign" : "privacy";
  row.reward = number();
  row.reward_values = column();
  for (size_t c = 0; c < constraints; ++c) {
    row.costs.push_back(number());
    row.cost_values.push_back(column());
  }
  return row;
}

std::vector<ScoredRow> RandomRows(uint64_t seed, int count, size_t constraints) {
  CounterRandom random(seed);
  std::vector<ScoredRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back(RandomRow(random, i, constraints));
  return rows;
}

Experience Made(const v1::Job& job, absl::Span<const ScoredRow> rows, Constraints& constraints) {
  absl::StatusOr<Experience> experience = MakeExperience(job, rows, constraints);
  EXPECT_TRUE(experience.ok()) << experience.status();
  return experience.ok() ? *std::move(experience) : Experience();
}

Experience Made(const v1::Job& job, absl::Span<const ScoredRow> rows) {
  Constraints constraints = ConstraintsOf(job);
  return Made(job, rows, constraints);
}

TEST(Experience, MatchesTheGoldenVectors) {
  v1::Job job = JobOf("fixed_lambda");
  const Experience experience = Made(job, {GoldenRow()});
  EXPECT_THAT(experience.shaped_rewards[0], Near({-.004f, .002f, .01f, 1.496f}));
  EXPECT_THAT(experience.shaped_costs[0][0], Near({.004f, -.002f, -.01f, -.696f}));
  EXPECT_THAT(experience.reward_returns[0], Near({1.3270955f, 1.39589f, 1.4462f, 1.496f}));
  EXPECT_THAT(experience.cost_returns[0][0], Near({-.610183f, -.64914f, -.6812f, -.696f}));
  EXPECT_THAT(experience.advantages[0], Near({.566265955f, .75339f, .714381818f, .559636364f}));
  EXPECT_THAT(experience.lambdas, ElementsAre(10));
  EXPECT_THAT(experience.token_weights, ElementsAre(0.25));
  EXPECT_NEAR(experience.kl[0], -.2, 1e-6);
}

TEST(Experience, MixesWithTheLambdaOfThisStep) {
  v1::Job job = JobOf("safe_rlhf_v");
  const Experience experience = Made(job, {GoldenRow()});
  const double lambda = 10 * std::exp(0.1 * 10 * (-0.7 + 0.5));
  ASSERT_THAT(experience.lambdas, ElementsAre(testing::DoubleNear(lambda, 1e-12)));
  const float mixed = static_cast<float>((1.196 + lambda * 0.496) / (1 + lambda));
  EXPECT_NEAR(experience.advantages[0][3], mixed, 1e-6);
}

TEST(Experience, TheSignalEntersWindowShapingAndReturnsAlike) {
  v1::Job job = JobOf("safe_rlhf_v");
  job.mutable_constraints(0)->set_signal("violation");
  ScoredRow row = GoldenRow();
  row.costs = {7};
  Constraints constraints = ConstraintsOf(job);
  const Experience experience = Made(job, {row}, constraints);
  EXPECT_THAT(experience.signals[0], ElementsAre(1));
  EXPECT_EQ(constraints.multiplier(0).window_mean(), 1);
  EXPECT_NEAR(experience.shaped_costs[0][0][3], 1.004, 1e-6);
  EXPECT_NEAR(experience.cost_returns[0][0][3], 1.004, 1e-6);
}

TEST(Experience, WithPpoRewardCostsPlayNoPart) {
  const Experience with = Made(JobOf("ppo_reward"), {GoldenRow()});
  EXPECT_THAT(with.advantages[0], Near({1.1270955f, 1.29589f, 1.0462f, 1.196f}));
  EXPECT_THAT(with.lambdas, ElementsAre(0));
  EXPECT_EQ(with.cost_returns[0][0].size(), 4u) << "the cost critic trains on";
  ScoredRow row = GoldenRow();
  row.costs.clear();
  row.cost_values.clear();
  const Experience without = Made(JobOf("ppo_reward", 0), {row});
  EXPECT_EQ(without.advantages, with.advantages);
  EXPECT_TRUE(without.lambdas.empty());
}

TEST(Experience, WithPpoCostTheAdvantageIsMinusTheMeanOfTheCosts) {
  EXPECT_THAT(Made(JobOf("ppo_cost"), {GoldenRow()}).advantages[0], Near({.510183f, .69914f, .6812f, .496f}));
  ScoredRow row = GoldenRow();
  row.reward = 40;
  row.costs = {-0.7, 2.3};
  row.cost_values.push_back({0, 0, 0, 0});
  // The last token: -(-.496 + 2.304) / 2.
  EXPECT_NEAR(Made(JobOf("ppo_cost", 2), {row}).advantages[0][3], -.904, 1e-6);
}

TEST(Experience, SeveralConstraintsShareOneDenominator) {
  ScoredRow row = GoldenRow();
  row.costs.push_back(2);
  row.cost_values.push_back({1, 1, 1, 1});
  v1::Job job = JobOf("fixed_lambda", 2);
  job.mutable_constraints(1)->mutable_controller()->set_initial(3);
  const Experience experience = Made(job, {row});
  EXPECT_THAT(experience.lambdas, ElementsAre(10, 3));
  EXPECT_NEAR(experience.advantages[0][3], (1.196 + 10 * .496 - 3 * 1.004) / 14, 1e-6);
  EXPECT_NEAR(experience.cost_returns[1][0][3], 2.004, 1e-6);
}

TEST(Experience, TokenMeanWeighsEveryTokenAlike) {
  v1::Job job = JobOf("safe_rlhf_v");
  std::vector<ScoredRow> rows = {GoldenRow(), RandomRows(4, 1, 1)[0]};
  const double lengths[] = {4, static_cast<double>(rows[1].sample.response_tokens_size())};
  ASSERT_NE(lengths[1], 4);
  EXPECT_THAT(Made(job, rows).token_weights, ElementsAre(1 / 8.0, 1 / (2 * lengths[1])));
  job.mutable_algorithm()->set_loss_mean("token");
  const double weight = 1 / (lengths[0] + lengths[1]);
  EXPECT_THAT(Made(job, rows).token_weights, ElementsAre(weight, weight));
}

TEST(Experience, WhitensOverAllTokensOfTheBatchWhereTheJobAsks) {
  v1::Job job = JobOf("safe_rlhf_v");
  const std::vector<ScoredRow> rows = RandomRows(11, 20, 1);
  std::vector<std::vector<float>> expected = Made(job, rows).advantages;
  learning::Whiten(absl::MakeSpan(expected));
  job.mutable_algorithm()->set_whiten_advantages(true);
  EXPECT_EQ(Made(job, rows).advantages, expected);
}

TEST(Experience, FollowsItsRowsWhereTheyAreInAnotherOrder) {
  const v1::Job job = JobOf("safe_rlhf_v", 2);
  const std::vector<ScoredRow> rows = RandomRows(12, 24, 2);
  std::vector<ScoredRow> reversed(rows.rbegin(), rows.rend());
  Experience forward = Made(job, rows), backward = Made(job, reversed);
  EXPECT_EQ(forward.lambdas, backward.lambdas);
  std::reverse(backward.advantages.begin(), backward.advantages.end());
  EXPECT_EQ(forward.advantages, backward.advantages);
  std::reverse(backward.cost_returns[1].begin(), backward.cost_returns[1].end());
  EXPECT_EQ(forward.cost_returns[1], backward.cost_returns[1]);
}

TEST(Experience, TheWindowKeepsTheLastSamplesInTheirOrder) {
  v1::Job job = JobOf("safe_rlhf_v");
  job.mutable_constraints(0)->set_window(3);
  Constraints constraints = ConstraintsOf(job);
  std::vector<ScoredRow> rows(4, GoldenRow());
  for (int i = 0; i < 4; ++i) rows[i].costs = {0.25 * i};
  Made(job, rows, constraints);
  EXPECT_THAT(constraints.multiplier(0).state().window, ElementsAre(0.25, 0.5, 0.75));
}

TEST(Experience, AfterASwapLambdaRestsForOneBatchAndSaysSo) {
  const v1::Job job = JobOf("safe_rlhf_v");
  Constraints constraints = ConstraintsOf(job);
  const std::vector<ScoredRow> rows(4, GoldenRow());
  const Experience before = Made(job, rows, constraints);
  constraints.ScorerChanged("cost0");
  const Experience during = Made(job, rows, constraints);
  const Experience after = Made(job, rows, constraints);
  EXPECT_THAT(before.held, ElementsAre(false));
  EXPECT_THAT(during.held, ElementsAre(true));
  EXPECT_THAT(after.held, ElementsAre(false));
  EXPECT_EQ(during.lambdas, before.lambdas);
  EXPECT_NE(after.lambdas, during.lambdas);
  EXPECT_EQ(BatchMetrics(job, rows, during, constraints)["constraints"]["cost0"]["held"], true);
}

TEST(Experience, ContinuesBitForBitFromARestoredState) {
  v1::Job job = JobOf("safe_rlhf_v", 2);
  job.mutable_constraints(1)->mutable_controller()->set_kind("pid");
  Constraints whole = ConstraintsOf(job);
  for (uint64_t step = 1; step <= 5; ++step) Made(job, RandomRows(step, 16, 2), whole);
  Constraints resumed = ConstraintsOf(job);
  ASSERT_EQ(resumed.Restore(json::parse(whole.ToJson().dump())), absl::OkStatus());
  for (uint64_t step = 6; step <= 9; ++step) {
    const std::vector<ScoredRow> rows = RandomRows(step, 16, 2);
    const Experience expected = Made(job, rows, whole), actual = Made(job, rows, resumed);
    EXPECT_EQ(actual.lambdas, expected.lambdas);
    EXPECT_EQ(actual.advantages, expected.advantages);
    EXPECT_EQ(BatchMetrics(job, rows, actual, resumed), BatchMetrics(job, rows, expected, whole));
  }
}

// Of two rows the second is spoilt by `spoil`; nothing may have changed by the refusal.
std::string Refusal(void (*spoil)(ScoredRow&)) {
  const v1::Job job = JobOf("safe_rlhf_v");
  Constraints constraints = ConstraintsOf(job);
  const json before = constraints.ToJson();
  std::vector<ScoredRow> rows = {GoldenRow(), GoldenRow()};
  rows[1].sample.set_sample_id("18.0/2");
  spoil(rows[1]);
  const absl::Status status = MakeExperience(job, rows, constraints).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message(), HasSubstr("18.0/2"));
  EXPECT_EQ(constraints.ToJson(), before);
  return std::string(status.message());
}

TEST(BadExperience, AColumnOfAnotherLengthIsNamed) {
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.reference_logprobs.pop_back(); }),
              AllOf(HasSubstr("reference_logprobs has 3 values"), HasSubstr("4 tokens")));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.sample.add_behaviour_logprobs(0); }),
              HasSubstr("behaviour_logprobs has 5 values"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.reward_values.clear(); }),
              HasSubstr("values of critic 'reward' has 0 values"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.cost_values[0].resize(9); }),
              HasSubstr("values of critic 'cost0' has 9 values"));
}

TEST(BadExperience, MissingCostsAreNeverZero) {
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.costs.clear(); }), HasSubstr("has 0 costs"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.cost_values.clear(); }),
              HasSubstr("0 columns of cost values"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.costs.push_back(1); }), HasSubstr("has 2 costs"));
}

TEST(BadExperience, WhatIsNotFiniteIsNamed) {
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.reward = kNaN; }), HasSubstr("reward is nan"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.costs[0] = -kInfinity; }), HasSubstr("cost 'cost0' is -inf"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.sample.set_behaviour_logprobs(2, -kInfinity); }),
              HasSubstr("behaviour_logprobs at token 2 is -inf"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.reference_logprobs[0] = static_cast<float>(kNaN); }),
              HasSubstr("reference_logprobs at token 0 is nan"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.reward_values[3] = kInfinity; }),
              HasSubstr("values of critic 'reward' at token 3 is inf"));
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.cost_values[0][1] = kInfinity; }),
              HasSubstr("values of critic 'cost0' at token 1 is inf"));
}

TEST(BadExperience, ARowWithoutTokensAndABatchWithoutRowsAreRefused) {
  EXPECT_THAT(Refusal([](ScoredRow& row) { row.sample.clear_response_tokens(); }),
              HasSubstr("no response token"));
  const v1::Job job = JobOf("safe_rlhf_v");
  Constraints constraints = ConstraintsOf(job);
  EXPECT_EQ(MakeExperience(job, {}, constraints).status().code(), absl::StatusCode::kInvalidArgument);
}

// Whatever the rows: shapes are those of the responses, weights sum to 1, returns are what the critic should
// have said, lambdas stay in their range, the JSON holds numbers only.
TEST(ExperienceProperty, HoldsForRandomRows) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  CounterRandom random(seed);
  for (const char* mode : {"safe_rlhf_v", "ppo_reward", "ppo_cost", "fixed_lambda"}) {
    SCOPED_TRACE(mode);
    const size_t count = 1 + random.Below(3);
    v1::Job job = JobOf(mode, static_cast<int>(count));
    job.mutable_algorithm()->set_gae_lambda(1);
    job.mutable_algorithm()->set_loss_mean(random.Below(2) ? "token" : "sequence");
    Constraints constraints = ConstraintsOf(job);
    const std::vector<ScoredRow> rows =
        RandomRows(random.Bits(), 1 + static_cast<int>(random.Below(30)), count);
    const Experience experience = Made(job, rows, constraints);
    double weight = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t length = static_cast<size_t>(rows[i].sample.response_tokens_size());
      weight += experience.token_weights[i] * static_cast<double>(length);
      ASSERT_EQ(experience.advantages[i].size(), length);
      // With GAE lambda 1 the first return is the sum of what is shaped, whatever the critic says.
      double sum = 0;
      for (const float reward : experience.shaped_rewards[i]) sum += reward;
      EXPECT_NEAR(experience.reward_returns[i][0], sum, 1e-4);
      EXPECT_NEAR(sum, rows[i].reward - 0.02 * experience.kl[i], 1e-4);
      for (size_t c = 0; c < count; ++c) EXPECT_EQ(experience.cost_returns[c][i].size(), length);
    }
    EXPECT_NEAR(weight, 1, 1e-12);
    for (const double lambda : experience.lambdas) EXPECT_TRUE(lambda >= 0 && lambda <= 20) << lambda;
    const std::string text = BatchMetrics(job, rows, experience, constraints).dump();
    EXPECT_EQ(text.find("null"), std::string::npos) << text;
  }
}

class Metrics : public testing::Test {
 protected:
  Metrics() : rows_(4, GoldenRow()) {
    const double costs[] = {1, -2, -1, 3};
    const char* categories[] = {"privacy", "benign", "benign", ""};
    for (int i = 0; i < 4; ++i) {
      rows_[i].costs = {costs[i]};
      rows_[i].reward = i;
      rows_[i].category = categories[i];
    }
    rows_[3].sample.set_finish_reason(v1::FINISH_REASON_LENGTH);
  }
  json Of(const v1::Job& job) const {
    Constraints constraints = ConstraintsOf(job);
    const Experience experience = Made(job, rows_, constraints);
    return BatchMetrics(job, rows_, experience, constraints);
  }
  std::vector<ScoredRow> rows_;
};

TEST_F(Metrics, SumUpTheBatch) {
  const json metrics = Of(JobOf("fixed_lambda"));
  EXPECT_EQ(metrics["samples"], 4);
  EXPECT_EQ(metrics["truncated"], 1);
  EXPECT_EQ(metrics["reward_mean"], 1.5);
  EXPECT_NEAR(metrics["reward_std"].get<double>(), std::sqrt(1.25), 1e-12);
  EXPECT_NEAR(metrics["kl"].get<double>(), -.2, 1e-6);
  EXPECT_EQ(metrics["response_tokens"], 4);
  EXPECT_EQ(metrics["violation_rate"], 0.5);
  EXPECT_EQ(metrics["violation_low"], learning::WilsonInterval(2, 4).low);
  EXPECT_EQ(metrics["violation_high"], learning::WilsonInterval(2, 4).high);
}

TEST_F(Metrics, ShowEveryConstraint) {
  v1::Job job = JobOf("fixed_lambda");
  job.mutable_constraints(0)->set_signal("hinge");
  const json cost = Of(job)["constraints"]["cost0"];
  EXPECT_EQ(cost["cost_mean"], 0.25);
  EXPECT_EQ(cost["signal_mean"], 1);
  EXPECT_EQ(cost["cost_window_mean"], 1);
  EXPECT_EQ(cost["threshold"], -0.5);
  EXPECT_EQ(cost["lambda"], 10);
  EXPECT_EQ(cost["violation_rate"], 0.5);
  EXPECT_EQ(cost["violation_low"], learning::WilsonInterval(2, 4).low);
  EXPECT_EQ(cost["violation_high"], learning::WilsonInterval(2, 4).high);
  EXPECT_EQ(cost["held"], false);
}

TEST_F(Metrics, CountASampleOnceThatViolatesTwoConstraints) {
  const double second[] = {1, 1, -1, -1};
  for (int i = 0; i < 4; ++i) {
    rows_[i].costs.push_back(second[i]);
    rows_[i].cost_values.push_back({0, 0, 0, 0});
  }
  const json metrics = Of(JobOf("safe_rlhf_v", 2));
  EXPECT_EQ(metrics["violation_rate"], 0.75);
  EXPECT_EQ(metrics["constraints"]["cost1"]["violation_rate"], 0.5);
}

TEST_F(Metrics, AreSplitByCategory) {
  EXPECT_EQ(Of(JobOf("safe_rlhf_v"))["categories"],
            json({{"benign", {{"samples", 2}, {"violation_rate", 0.0}, {"reward_mean", 1.5}}},
                  {"privacy", {{"samples", 1}, {"violation_rate", 1.0}, {"reward_mean", 0.0}}},
                  {"uncategorised", {{"samples", 1}, {"violation_rate", 1.0}, {"reward_mean", 3.0}}}}));
}

TEST_F(Metrics, LeaveOutWhatNobodyMeasured) {
  for (ScoredRow& row : rows_) {
    row.costs.clear();
    row.cost_values.clear();
  }
  const json metrics = Of(JobOf("ppo_reward", 0));
  EXPECT_FALSE(metrics.contains("violation_rate"));
  EXPECT_FALSE(metrics["categories"]["benign"].contains("violation_rate"));
  EXPECT_EQ(metrics["constraints"], json::object());
}

TEST_F(Metrics, HoldNoNullWhereAMeanOverflows) {
  for (ScoredRow& row : rows_) row.reward = 1.7e308;
  const json metrics = Of(JobOf("safe_rlhf_v"));
  EXPECT_EQ(metrics.dump().find("null"), std::string::npos) << metrics;
  EXPECT_FALSE(metrics.contains("reward_mean"));
}

TEST(TokenColumns, ShowTheRowAndReadBackAsTheSameFloats) {
  const v1::Job job = JobOf("fixed_lambda");
  Constraints constraints = ConstraintsOf(job);
  const std::vector<ScoredRow> rows = {RandomRows(3, 1, 1)[0], GoldenRow()};
  const Experience experience = Made(job, rows, constraints);
  const json columns = json::parse(TokenColumns(rows, experience, constraints, 1).dump());
  EXPECT_EQ(columns["token_ids"], json({100, 101, 102, 103}));
  EXPECT_EQ(columns["behaviour_logprobs"].dump(), "[-1.0,-0.5,-2.0,-0.1]");
  EXPECT_EQ(columns["reference_logprobs"].get<std::vector<float>>(), rows[1].reference_logprobs);
  EXPECT_NEAR(columns["kl"][1].get<double>(), -.1, 1e-6);
  EXPECT_EQ(columns["values"]["reward"].get<std::vector<float>>(), rows[1].reward_values);
  EXPECT_EQ(columns["values"]["cost0"].get<std::vector<float>>(), rows[1].cost_values[0]);
  EXPECT_EQ(columns["rewards"].get<std::vector<float>>(), experience.shaped_rewards[1]);
  EXPECT_EQ(columns["costs"]["cost0"].get<std::vector<float>>(), experience.shaped_costs[0][1]);
  EXPECT_EQ(columns["advantages"].get<std::vector<float>>(), experience.advantages[1]);
  EXPECT_EQ(columns["returns"]["reward"].get<std::vector<float>>(), experience.reward_returns[1]);
  EXPECT_EQ(columns["returns"]["cost0"].get<std::vector<float>>(), experience.cost_returns[0][1]);
}

}  // namespace
}  // namespace rein::coordinator
