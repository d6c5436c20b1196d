// Whole jobs with fake actors: what a run leaves behind, and what people ask of it.
#include "coordinator/job.h"

#include <algorithm>
#include <future>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/fakes/run_reader.h"
#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/peer.h"

namespace rein::coordinator {
namespace {

using fakes::RunReader;
using fakes::Script;
using fakes::World;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Stub = v1::Coordinator::Stub;

absl::Status RunToEnd(const JobOptions& options) {
  auto job = Job::Open(options);
  if (!job.ok()) return job.status();
  return (*job)->Run();
}

// A job that runs in the background, and a caller.
class Background {
 public:
  explicit Background(World& world)
      : job_(*Job::Open(world.options())),
        peer_(*transport::Peer::Open(job_->address(), {.token = world.token()})),
        stub_(v1::Coordinator::NewStub(peer_.channel())),
        done_(std::async(std::launch::async, [this] { return job_->Run(); })) {}

  absl::Status Await() { return done_.get(); }
  Job& job() { return *job_; }
  absl::StatusOr<v1::ControlResponse> Ask(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                       const v1::ControlRequest&,
                                                                       v1::ControlResponse*)) {
    return transport::Call<Stub, v1::ControlRequest, v1::ControlResponse>(peer_, *stub_, method, {},
                                                                          fakes::kPatience);
  }
  // Reads the status until it shows this phase.
  void AwaitPhase(v1::JobPhase phase) {
    grpc::ClientContext context;
    peer_.Prepare(context, fakes::kPatience);
    v1::JobStatusRequest request;
    request.set_min_interval_ms(1);
    const auto reader = stub_->WatchStatus(&context, request);
    v1::JobStatus status;
    while (reader->Read(&status)) {
      if (status.phase() == phase) return context.TryCancel();
    }
    ADD_FAILURE() << "the job never came to phase " << phase;
  }
  // The last progress of a swap of the cost scorer.
  v1::SwapProgress SwapCost(const std::string& model) {
    grpc::ClientContext context;
    peer_.Prepare(context, fakes::kPatience);
    v1::SwapRequest request;
    request.set_role("cost");
    request.set_model(model);
    const auto reader = stub_->Swap(&context, request);
    v1::SwapProgress progress;
    while (reader->Read(&progress)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
    return progress;
  }

 private:
  std::unique_ptr<Job> job_;
  transport::Peer peer_;
  std::unique_ptr<Stub> stub_;
  std::future<absl::Status> done_;
};

TEST(Job, RunsToItsEndAndLeavesARunFolder) {
  World world;
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const RunReader run(world.run_dir());
  EXPECT_EQ(run.state(), "finished");
  EXPECT_EQ(run.Json("outcome.json")["step"], 6);
  EXPECT_THAT(run.MetricSteps(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(run.SampleIds(), SizeIs(6 * 4 * 2));
  EXPECT_THAT(world.script("policy/policy/0").trained(), SizeIs(6));
  EXPECT_TRUE(run.Has("policy/config.json"));
  EXPECT_TRUE(run.Has("checkpoints/step-6/manifest.json"));
  EXPECT_EQ((*Ledger::Open(world.run_dir() / "ledger.sqlite"))->CountStates().value(),
            (std::map<std::string, int64_t>{{"consumed", 48}}));
  for (const auto& sample : run.Lines("samples.jsonl")) {
    ASSERT_THAT(sample["images"], SizeIs(1));
    EXPECT_TRUE(run.Has(absl::StrCat("pictures/", sample["images"][0].get<std::string>(), ".png")));
  }
}

TEST(Job, DrawsEveryPromptOnceAnEpoch) {
  World world;
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const std::vector<std::string> ids = RunReader(world.run_dir()).SampleIds();
  EXPECT_THAT(std::set<std::string>(ids.begin(), ids.end()), SizeIs(ids.size()));
}

TEST(Job, EvaluatesTheStartEverySoManyStepsAndTheEnd) {
  World world({"evaluation.every=4"});
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const RunReader run(world.run_dir());
  for (int step : {0, 4, 6}) {
    const auto evaluation = run.Json(absl::StrCat("evaluations/step-", step, ".json"));
    EXPECT_EQ(evaluation["step"], step);
    EXPECT_EQ(evaluation["prompts"], 4);
    EXPECT_EQ(evaluation["ground_truth"]["synthetic"], true);
    EXPECT_THAT(evaluation["answers"], SizeIs(2));
    EXPECT_TRUE(evaluation["constraints"]["cost"].contains("violation_rate"));
  }
  EXPECT_FALSE(run.Has("evaluations/step-2.json"));
}

TEST(Job, DeliversTheBestPolicyThatMeetsTheConstraints) {
  World world({"evaluation.every=2", "constraints.0.threshold=10"});
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const RunReader run(world.run_dir());
  std::string best;
  double reward = -1e9;
  for (const char* step : {"2", "4", "6"}) {
    const double mean = run.Json(absl::StrCat("evaluations/step-", step, ".json"))["reward_mean"];
    if (mean > reward) best = step;
    reward = std::max(reward, mean);
  }
  EXPECT_EQ(run.Text("policy/step.txt"), absl::StrCat(best, "\n"));
  EXPECT_EQ(run.Text("policy/weights.txt"),
            run.Text(absl::StrCat("checkpoints/step-", best, "/policy-policy/model/weights.txt")));
}

TEST(Job, DeliversTheLastPolicyWhereNoneMeetsTheConstraints) {
  World world({"evaluation.every=2", "constraints.0.threshold=-10"});
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  EXPECT_EQ(RunReader(world.run_dir()).Text("policy/step.txt"), "6\n");
}

TEST(Job, StopsAfterACommitAndGoesOnWithTheActorsThatStayedAlive) {
  World undisturbed, world({"checkpoint.every=100"});
  ASSERT_EQ(RunToEnd(undisturbed.options()), absl::OkStatus());
  {
    Background background(world);
    ASSERT_TRUE(world.script("policy/policy/0").AwaitCalls("Train", 3));
    background.job().AskToStop();
    ASSERT_EQ(background.Await(), absl::OkStatus());
  }
  const RunReader run(world.run_dir());
  ASSERT_EQ(run.state(), "stopped");
  const int64_t stopped_at = run.Json("outcome.json")["step"];
  EXPECT_GE(stopped_at, 3);
  EXPECT_TRUE(run.Has(absl::StrCat("checkpoints/step-", stopped_at)));
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  EXPECT_EQ(run.state(), "finished");
  EXPECT_EQ(run.Path(), RunReader(undisturbed.run_dir()).Path());
  EXPECT_EQ(run.SampleIds(), RunReader(undisturbed.run_dir()).SampleIds());
  for (const std::string& actor : world.launcher().running()) {
    EXPECT_EQ(world.launcher().starts(actor), 1) << actor;
  }
}

TEST(Job, HoldsAtAPauseCommitsWhenAskedAndEndsWhenAsked) {
  World world({"checkpoint.every=100"});
  Script& policy = world.script("policy/policy/0");
  policy.Hold("Train");
  Background background(world);
  ASSERT_TRUE(policy.AwaitCalls("Train", 1));
  ASSERT_TRUE(background.Ask(&Stub::Pause).ok());
  policy.Release("Train");
  background.AwaitPhase(v1::JOB_PAUSED);
  const auto committed = background.Ask(&Stub::Checkpoint);
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_THAT(committed->message(), EndsWith("checkpoints/step-1"));
  EXPECT_EQ(committed->step(), 1);
  EXPECT_EQ(policy.trained().size(), 1u);
  const auto stopped = background.Ask(&Stub::Stop);
  EXPECT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_EQ(background.Await(), absl::OkStatus());
  EXPECT_EQ(RunReader(world.run_dir()).state(), "stopped");
}

TEST(Job, SwapsAScorerAtABoundaryAndKeepsItOverAResume) {
  for (const char* every : {"checkpoint.every=1", "checkpoint.every=100"}) {
    World world({every});
    Script& policy = world.script("policy/policy/0");
    policy.Hold("Train");
    {
      Background background(world);
      ASSERT_TRUE(policy.AwaitCalls("Train", 1));
      auto swap = std::async(std::launch::async, [&] { return background.SwapCost(world.other_model()); });
      ASSERT_TRUE(world.script("cost/cost/1").AwaitCalls("Score", 1));
      ASSERT_TRUE(background.Ask(&Stub::Pause).ok());
      policy.Release("Train");
      EXPECT_EQ(swap.get().stage(), v1::SWAP_DONE);
      ASSERT_TRUE(background.Ask(&Stub::Resume).ok());
      ASSERT_EQ(background.Await(), absl::OkStatus());
    }
    const RunReader run(world.run_dir());
    EXPECT_EQ(run.Lines("metrics.jsonl")[1]["constraints"]["cost"]["held"], true);
    EXPECT_EQ(run.Lines("metrics.jsonl")[2]["constraints"]["cost"]["held"], false);

    JobOptions longer = world.options();
    longer.job.set_steps(7);
    ASSERT_EQ(RunToEnd(longer), absl::OkStatus());
    EXPECT_THAT(world.launcher().running(), AllOf(Contains("cost/cost/1"), Not(Contains("cost/cost/0"))));
  }
}

TEST(Job, CommitsASwapWithTheNextStepWhereThisOneIsCommittedAlready) {
  World world({"checkpoint.every=2", "checkpoint.keep_newest=10"});
  Script& policy = world.script("policy/policy/0");
  policy.Hold("Save");
  Background background(world);
  ASSERT_TRUE(policy.AwaitCalls("Save", 1));  // step 2
  auto swap = std::async(std::launch::async, [&] { return background.SwapCost(world.other_model()); });
  ASSERT_TRUE(world.script("cost/cost/1").AwaitCalls("Score", 1));
  ASSERT_TRUE(background.Ask(&Stub::Pause).ok());
  policy.Release("Save");
  EXPECT_EQ(swap.get().stage(), v1::SWAP_DONE);
  ASSERT_TRUE(background.Ask(&Stub::Resume).ok());
  ASSERT_EQ(background.Await(), absl::OkStatus());
  EXPECT_TRUE(RunReader(world.run_dir()).Has("checkpoints/step-3"));
}

TEST(Job, TellsATakenOverScorerAlsoWhereItsCommitFails) {
  World world({"checkpoint.every=100"});
  Script& policy = world.script("policy/policy/0");
  policy.Hold("Train");
  Background background(world);
  ASSERT_TRUE(policy.AwaitCalls("Train", 1));
  auto swap = std::async(std::launch::async, [&] { return background.SwapCost(world.other_model()); });
  ASSERT_TRUE(world.script("cost/cost/1").AwaitCalls("Score", 1));
  ASSERT_TRUE(background.Ask(&Stub::Pause).ok());
  policy.Die("Save");
  policy.Release("Train");
  EXPECT_EQ(swap.get().stage(), v1::SWAP_DONE);
  ASSERT_TRUE(background.Ask(&Stub::Resume).ok());
  EXPECT_EQ(background.Await(), absl::OkStatus());
  EXPECT_THAT(world.launcher().running(), AllOf(Contains("cost/cost/1"), Not(Contains("cost/cost/0"))));
}

TEST(Job, EndsWhileTheScorerOfASwapStillLoads) {
  World world;
  Script& candidate = world.script("cost/cost/1");
  candidate.Hold("Configure");
  world.script("policy/policy/0").Hold("Train");
  Background background(world);
  ASSERT_TRUE(world.script("policy/policy/0").AwaitCalls("Train", 1));
  auto swap = std::async(std::launch::async, [&] { return background.SwapCost(world.other_model()); });
  ASSERT_TRUE(candidate.AwaitCalls("Configure", 1));
  background.job().AskToStop();
  world.script("policy/policy/0").Release("Train");
  EXPECT_EQ(background.Await(), absl::OkStatus());
  // The job's services end with the swap; only the process that loads is left.
  candidate.Release("Configure");
  background.job().Shutdown();
  EXPECT_NE(swap.get().stage(), v1::SWAP_DONE);
}

TEST(Job, RecordsARefusedPromptAndGoesOn) {
  World world;
  const std::string prompt = [&] {
    World probe;
    EXPECT_EQ(RunToEnd(probe.options()), absl::OkStatus());
    return RunReader(probe.run_dir()).Lines("samples.jsonl")[0]["prompt_id"].get<std::string>();
  }();
  for (const char* rollout : {"rollout/rollout/0", "rollout/rollout/1"}) world.script(rollout).Refuse(prompt);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const RunReader run(world.run_dir());
  EXPECT_EQ(run.Lines("metrics.jsonl")[0]["dropped"], 2);
  EXPECT_EQ(run.Lines("metrics.jsonl")[0]["samples"], 6);
  EXPECT_EQ((*Ledger::Open(world.run_dir() / "ledger.sqlite"))->CountStates().value(),
            (std::map<std::string, int64_t>{{"consumed", 46}, {"dropped", 2}}));
}

// One sample a step, of which the guard drops every other one.
const std::vector<std::string> kOneGuardedSample = {"actors.4.role=guard", "actors.4.model=$0/base",
                                                    "data.prompts_per_step=1", "data.samples_per_prompt=1"};

TEST(Job, DrawsTheNextPromptsWhereTheGuardDropsAll) {
  World world(kOneGuardedSample);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  const RunReader run(world.run_dir());
  int64_t dropped = 0;
  for (const auto& line : run.Lines("metrics.jsonl")) {
    EXPECT_EQ(line["samples"], 1);
    dropped += line["dropped"].get<int64_t>();
  }
  EXPECT_GT(dropped, 0);
  EXPECT_EQ((*Ledger::Open(world.run_dir() / "ledger.sqlite"))->CountStates().value(),
            (std::map<std::string, int64_t>{{"consumed", 6}, {"dropped", dropped}}));
  EXPECT_THAT(world.script("policy/policy/0").trained(), SizeIs(6));
}

TEST(Job, ResumesWithThePromptsAfterThoseThatTheGuardDropped) {
  World undisturbed(kOneGuardedSample), world(kOneGuardedSample);
  ASSERT_EQ(RunToEnd(undisturbed.options()), absl::OkStatus());
  world.script("policy/policy/0").Die("Train", 4);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  EXPECT_EQ(RunReader(world.run_dir()).SampleIds(), RunReader(undisturbed.run_dir()).SampleIds());
}

TEST(Job, FailsWhereTheGuardDropsAllOfManyDraws) {
  World world(kOneGuardedSample);
  world.script("guard/guard/0").SetStrict(true);
  const absl::Status status = RunToEnd(world.options());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("drawn 16 times"), HasSubstr("the guard finds it severe")));
  EXPECT_EQ((*Ledger::Open(world.run_dir() / "ledger.sqlite"))->CountStates().value(),
            (std::map<std::string, int64_t>{{"dropped", 16}}));
}

TEST(Job, FailsAtABadModelAndSaysSo) {
  World world;
  world.script("reward/reward/0")
      .Fail("Configure", absl::InvalidArgumentError("no score head"), Script::kAlways);
  EXPECT_EQ(RunToEnd(world.options()).code(), absl::StatusCode::kInvalidArgument);
  const RunReader run(world.run_dir());
  EXPECT_EQ(run.state(), "failed");
  EXPECT_THAT(run.Json("outcome.json")["error"].get<std::string>(),
              AllOf(HasSubstr("reward/reward/0"), HasSubstr("no score head")));
}

TEST(Job, DoesNotOpenWithoutItsData) {
  World world;
  JobOptions options = world.options();
  options.job.mutable_data()->set_prompts(world.run_dir() / "nothing.parquet");
  EXPECT_FALSE(Job::Open(options).ok());
}

}  // namespace
}  // namespace rein::coordinator
