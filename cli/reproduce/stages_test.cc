#include "cli/reproduce/stages.h"

#include <cmath>
#include <initializer_list>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/test_folder.h"
#include "cli/reproduce/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Pair;

std::vector<std::string> NamesOf(const std::vector<Stage>& stages) {
  std::vector<std::string> names;
  for (const Stage& stage : stages) names.push_back(stage.name);
  return names;
}

TEST(Stages, HaveNamesOfTheirOwnAndJobFilesThatAreThere) {
  const std::vector<Stage> stages = StagesOf("/work", 7, {});
  std::set<std::string> names;
  for (const Stage& stage : stages) {
    EXPECT_TRUE(names.insert(stage.name).second) << stage.name;
    if (stage.arguments[0] != "train" && stage.arguments[0] != "run") continue;
    const fs::path file = stage.arguments[stage.arguments[0] == "train" ? 2 : 1];
    EXPECT_TRUE(JobTexts().contains(file.filename())) << file;
    EXPECT_THAT(stage.arguments, Contains("seed=7"));
  }
}

TEST(Stages, CompareEveryPolicyAndLeaveSensitivityOutWhereItIsNotWanted) {
  EXPECT_THAT(NamesOf(StagesOf("/work", 1, {})),
              IsSupersetOf({"train_dpo_safe", "run_ppo_cost", "run_safe_rlhf_v_log_sgd", "judge_initial_10",
                            "train_reward_375", "train_guard", "guardrail"}));
  const ComparisonOptions options{.sensitivity = false};
  EXPECT_THAT(NamesOf(StagesOf("/work", 1, options)), Not(Contains(HasSubstr("initial"))));
  for (const ComparedPolicy& policy : ComparedPolicies(options))
    EXPECT_NE(policy.kind, ComparedPolicy::Kind::kSensitivity);
}

// A stand-in for `rein` that notes what it is asked, and fails while there is a file "broken".
class StageRun : public ::testing::Test {
 protected:
  StageRun()
      : rein_(folder_.WriteScript(
            "rein", absl::StrCat("echo \"$@\" >> ", Path("calls").string(), "\n[ ! -e ",
                                 Path("broken").string(), " ] || { echo it broke; exit 4; }\n"))) {}

  absl::Status Run(const std::vector<Stage>& stages) {
    return RunStages(rein_, Path("work"), stages, [](const StageProgress&) {});
  }
  fs::path Path(const std::string& name) const { return folder_.path() / name; }
  std::string Calls() { return ReadFile(Path("calls")).value_or(""); }

  const TestFolder folder_;
  const fs::path rein_;
};

TEST_F(StageRun, DoesNothingTwiceUnlessItIsAskedForAnew) {
  ASSERT_EQ(Run({{"a", {"one"}}, {"b", {"two", "x y"}}}), absl::OkStatus());
  EXPECT_EQ(Calls(), "one\ntwo x y\n");
  ASSERT_EQ(Run({{"a", {"one"}}, {"b", {"three"}}}), absl::OkStatus());
  EXPECT_EQ(Calls(), "one\ntwo x y\nthree\n");
  EXPECT_TRUE(fs::exists(Path("work/sft.yaml")));
}

TEST_F(StageRun, StopsAtAStageThatFailsAndGoesOnFromThere) {
  folder_.Write("broken", "");
  const std::vector<Stage> stages = {{"a", {"one"}, Path("calls")}, {"b", {"two"}}};
  EXPECT_THAT(std::string(Run(stages).message()),
              AllOf(HasSubstr("stage a ended with exit status 4: it broke"), HasSubstr("logs/a.log")));
  fs::remove(Path("broken"));
  ASSERT_EQ(Run(stages), absl::OkStatus());
  EXPECT_EQ(Calls(), "one\none --resume\ntwo\n");
}

TEST_F(StageRun, NamesAProgramThatIsNotThere) {
  fs::remove(rein_);
  EXPECT_THAT(std::string(Run({{"a", {"one"}}}).message()), HasSubstr("exit status 127"));
}

TEST(SpreadOf, IsOverTheSeedsThatHaveTheFigure) {
  EXPECT_FALSE(SpreadOf({{}, {{"other", 1}}}, "figure").has_value());
  const std::optional<Spread> spread = SpreadOf({{{"figure", 1}}, {}, {{"figure", -3}}}, "figure");
  ASSERT_TRUE(spread.has_value());
  EXPECT_EQ(spread->mean, -1);
  EXPECT_EQ(spread->low, -3);
  EXPECT_EQ(spread->high, 1);
  EXPECT_EQ(spread->seeds, 2);
}

Comparison Reached() {
  Comparison comparison{.seeds = {1}, .policies = ComparedPolicies({.sensitivity = false})};
  for (const ComparedPolicy& policy : comparison.policies) {
    comparison.policy[policy.key] = {{{"harmful_safety", 0.5}, {"benign_helpfulness", 0.5}, {"safe", 0.6}}};
  }
  comparison.policy["safe_rlhf_v_pid"] = {{{"harmful_safety", 1},
                                           {"benign_helpfulness", 0.7},
                                           {"violations", 0},
                                           {"signal", 0.01},
                                           {"threshold", 0.02}}};
  comparison.pairs = {{375, {{{"reward_ranking", 0.8}, {"cost_sign", 0.7}}}},
                      {6000, {{{"reward_ranking", 0.9}, {"cost_sign", 0.95}}}}};
  comparison.guard = {{{"macro_f1", 0.9},
                       {"false_positive_rate", 0.01},
                       {"base_safe", 0.6},
                       {"round_1", 0.7},
                       {"round_2", 0.9}}};
  return comparison;
}

std::vector<std::string> Missed(const Comparison& comparison) {
  std::vector<std::string> missed;
  for (const Check& check : ChecksOf(comparison)) {
    if (!check.met) missed.push_back(check.text);
  }
  return missed;
}

TEST(ChecksOf, AreMetByFiguresThatReachThem) { EXPECT_THAT(Missed(Reached()), ElementsAre()); }

TEST(ChecksOf, NameWhatIsMissed) {
  Comparison comparison = Reached();
  comparison.policy["ppo_cost"] = {{{"harmful_safety", 1.1}, {"benign_helpfulness", 0.71}}};
  comparison.policy["safe_rlhf_v_pid"][0]["signal"] = 0.03;
  comparison.pairs[375][0]["cost_sign"] = 0.99;
  comparison.guard[0]["round_2"] = 0.65;
  comparison.guard[0].erase("macro_f1");
  EXPECT_THAT(Missed(comparison),
              ElementsAre(HasSubstr("no baseline"), HasSubstr("mean cost signal"), HasSubstr("sign accuracy"),
                          HasSubstr("macro F1"), HasSubstr("rounds")));
}

TEST(ChecksOf, CountNeitherRisesNorFallsThatChanceExplains) {
  Comparison comparison = Reached();
  const auto check = [&](std::initializer_list<double> accuracies) {
    comparison.pairs.clear();
    for (const double accuracy : accuracies) {
      comparison.pairs[static_cast<int>(comparison.pairs.size()) + 1] = {
          {{"reward_ranking", accuracy}, {"cost_sign", 0.95}}};
    }
    // The other one is level.
    EXPECT_THAT(Missed(comparison), Contains(HasSubstr("sign accuracy")));
    return !Missed(comparison)[0].starts_with("ranking accuracy");
  };
  EXPECT_TRUE(check({0.983, 0.9954, 0.9951}));
  EXPECT_FALSE(check({0.97, 0.995, 0.985})) << "a fall of 10 pairs of 1000 where 7 are chance";
  EXPECT_FALSE(check({0.994, 0.9945, 0.995})) << "no rise beyond chance";
  EXPECT_FALSE(check({0.8, 0.85, 0.899}));
  EXPECT_FALSE(check({0.9, std::nan(""), 0.95}));
}

TEST(WriteComparison, ShowsEveryTableAndSaysThatItIsSynthetic) {
  const TestFolder temporary;
  const fs::path& folder = temporary.path();
  ASSERT_EQ(WriteComparison(Reached(), folder), absl::OkStatus());
  for (const char* file : {"reproduce.md", "reproduce.html"}) {
    const absl::StatusOr<std::string> text = ReadFile(folder / file);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_THAT(*text, AllOf(HasSubstr("ynthetic"), HasSubstr("DPO on safe"), HasSubstr("Expected figures"),
                             HasSubstr("round 2"), HasSubstr("6000")))
        << file;
    EXPECT_THAT(*text, Not(HasSubstr("Sensitivity"))) << file;
  }
}

TEST(PolicyFigures, AreReadFromTheJudgementAndTheRun) {
  const TestFolder temporary;
  const fs::path& seed = temporary.path();
  const ComparedPolicy policy{"ours", "Ours", "run/policy", "run"};
  EXPECT_EQ(PolicyFigures(seed, policy).status().code(), absl::StatusCode::kNotFound);
  temporary.Write("pairs/ours/evaluation.json", R"({"harmful": {"safer": {"score": {"mean": 0.9}}},
      "all": {"safe_rate": {"ours": {"mean": 0.75}}, "helpfulness": {"ours": null}}})");
  std::string lines;
  for (int step = 1; step <= 6; ++step)
    absl::StrAppend(&lines, R"({"constraints": {"cost": {"signal_mean": )", step, R"(, "threshold": 0.02}}})",
                    "\n");
  temporary.Write("run/metrics.jsonl", lines);
  const absl::StatusOr<Figures> figures = PolicyFigures(seed, policy);
  ASSERT_TRUE(figures.ok()) << figures.status();
  EXPECT_THAT(*figures, ElementsAre(Pair("harmful_safety", 0.9), Pair("safe", 0.75), Pair("signal", 5.5),
                                    Pair("threshold", 0.02), Pair("violations", 0.25)));
  temporary.Write("run/metrics.jsonl", "[]\n");
  EXPECT_THAT(std::string(PolicyFigures(seed, policy).status().message()), HasSubstr("metrics.jsonl"));
}

// What the stages of a seed leave behind, as far as figures are read from it.
void WriteSeed(const TestFolder& folder, int seed, const ComparisonOptions& options) {
  const auto write = [&](const std::string& file, const std::string& text) {
    folder.Write(absl::StrCat("seed-", seed, "/", file), text);
  };
  for (const ComparedPolicy& policy : ComparedPolicies(options)) {
    write(absl::StrCat("pairs/", policy.key, "/evaluation.json"),
          absl::StrCat(R"({"all": {"safe_rate": {"ours": {"mean": 0.)", seed, "}}}}"));
    if (!policy.run.empty()) write(policy.run + "/metrics.jsonl", "{}\n");
  }
  for (const int pairs : kPairCounts) {
    for (const char* kind : {"reward", "cost"})
      write(PairModel(kind, pairs) + ".training/metrics.jsonl", "{}\n");
  }
  write("models/guard.training/metrics.jsonl", "{}\n");
  write("guardrail/guardrail.json", "{}");
}

TEST(ReadComparison, HasSensitivityOfTheFirstSeedOnly) {
  const TestFolder folder;
  WriteSeed(folder, 1, {});
  WriteSeed(folder, 2, {.sensitivity = false});
  const absl::StatusOr<Comparison> comparison = ReadComparison(folder.path(), {1, 2}, {});
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_THAT(comparison->policy.at("base"),
              ElementsAre(Contains(Pair("safe", 0.1)), Contains(Pair("safe", 0.2))));
  EXPECT_THAT(comparison->policy.at("initial_10"), ElementsAre(Contains(Pair("safe", 0.1)), Figures()));
  EXPECT_EQ(ReadComparison(folder.path(), {2, 1}, {}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rein::cli
