// A job whose rollouts pass a guard before anything is learned from them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/system/outcome.h"

namespace rein::system_test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::Lt;
using ::testing::StartsWith;

constexpr int kSteps = 4, kSamples = 32;

// P(minor) that the guard gives answers of SFT to prompts of the job, sorted.
std::vector<double> LikelihoodsOfHarm(const fs::path& guard) {
  const World& world = TinyWorld();
  const fs::path output = world.folder / "guard_run";
  const CommandResult run = RunCommand({"rein",
                                        "guard",
                                        "run",
                                        "--guard",
                                        guard.string(),
                                        "--policy",
                                        world.sft.string(),
                                        "--data",
                                        (world.folder / "data/prompts.parquet").string(),
                                        "--output",
                                        output.string(),
                                        "--prompts",
                                        "32",
                                        "--rounds",
                                        "1",
                                        "--refuse-at",
                                        "never",
                                        "--max-tokens",
                                        "12",
                                        "--chunk",
                                        "32"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  std::vector<double> likelihoods;
  for (const json& record : Lines(output / "records.jsonl"))
    likelihoods.push_back(record["rounds"][0]["verdict"]["at_or_above"][0]);
  std::sort(likelihoods.begin(), likelihoods.end());
  return likelihoods;
}

// A barely trained guard with the threshold that about a quarter of the answers are at or above.
void MakeGuard() {
  const World& world = TinyWorld();
  TrainBarely(world, "guard", "models/sft", "data/preferences.parquet", "guard");
  const fs::path folder = world.folder / "models/guard";
  const std::vector<double> likelihoods = LikelihoodsOfHarm(folder);
  ASSERT_EQ(likelihoods.size(), 32u);
  ASSERT_LT(likelihoods.front(), likelihoods[24]) << "the guard tells no answers apart";
  json config = json::parse(Bytes(folder / "guard_config.json"));
  config["thresholds"]["answer"][0] = likelihoods[24];
  std::ofstream(folder / "guard_config.json") << config.dump(2);
}

// TinyWorld's job with that guard.
fs::path GuardJobFile() {
  const World& world = TinyWorld();
  const fs::path file = world.folder / "guard_job.yaml";
  if (fs::exists(file)) return file;
  MakeGuard();
  const std::string job = absl::StrReplaceAll(Bytes(world.job), {{"policy_optimizer:",
                                                                  "  - {role: guard, model: models/guard}\n"
                                                                  "guard: {drop_at: minor}\n"
                                                                  "policy_optimizer:"}});
  std::ofstream(file) << job;
  return file;
}

class GuardedJob : public Job {
 public:
  explicit GuardedJob(const std::string& name)
      : Job(name, {"deterministic=true", absl::StrCat("steps=", kSteps)}, GuardJobFile()) {}
};

// What the same job comes to when nothing happens to it; it runs in the folder guard_undisturbed.
const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    GuardedJob job("guard_undisturbed");
    EXPECT_EQ(job.Wait(), 0) << job.Output();
    return OutcomeOf(job, kSteps);
  }();
  return outcome;
}

using Rows = std::vector<std::vector<std::string>>;

// Step, state and number of the samples that were learned from or dropped.
Rows SettledSamples(const fs::path& run) {
  return QueryLedger(run,
                     "SELECT step, state, COUNT(*) FROM samples WHERE state IN ('consumed', 'dropped') "
                     "GROUP BY step, state ORDER BY step, state");
}

TEST(GuardJob, LearnsNothingFromWhatTheGuardDropsAndCountsIt) {
  EXPECT_EQ(Undisturbed().lambdas.size(), kSteps);
  const fs::path run = RunFolder("guard_undisturbed");
  const auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), kSteps);
  int64_t dropped = 0;
  for (const json& line : metrics) {
    dropped += line["dropped"].get<int64_t>();
    EXPECT_EQ(line["dropped"].get<int64_t>() + line["samples"].get<int64_t>(), kSamples / kSteps) << line;
  }
  EXPECT_THAT(dropped, AllOf(Gt(0), Lt(kSamples)));
  EXPECT_EQ(QueryLedger(run, "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0],
            absl::StrCat(kSamples - dropped));
  const Rows reasons = QueryLedger(run, "SELECT drop_reason FROM samples WHERE state = 'dropped'");
  EXPECT_EQ(reasons.size(), dropped);
  EXPECT_THAT(reasons, Each(ElementsAre(StartsWith("the guard finds it "))));
}

TEST(GuardJob, GoesOnToTheBitAfterAKilledGuard) {
  const Outcome& undisturbed = Undisturbed();
  GuardedJob job("guard_killed");
  v1::JobStatus status;
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 2; }, &status));
  const pid_t victim = Job::PidOf(status, "guard");
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectSameOutcome(job, kSteps, undisturbed);
  EXPECT_EQ(SettledSamples(job.folder()), SettledSamples(RunFolder("guard_undisturbed")));
  EXPECT_GE(Metrics(job.folder()).back()["actor_restarts"].get<int64_t>(), 1);
}

}  // namespace
}  // namespace rein::system_test
