// The control verbs as a user types them, against a coordinator in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/command_line.h"
#include "cli/control/status_text.h"
#include "cli/run_files.h"
#include "cli/test_folder.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/job_file.h"
#include "transport/server.h"
#include "transport/token.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

v1::JobStatus SomeStatus() {
  v1::JobStatus status;
  status.set_job_id("tiny-1");
  status.set_name("tiny");
  status.set_phase(v1::JOB_TRAINING);
  status.set_step(3);
  status.set_total_steps(40);
  status.set_committed_step(2);
  status.set_started_ns(int64_t{1000} * 1000000000);
  status.set_now_ns(int64_t{1065} * 1000000000);
  v1::Wait* wait = status.add_waiting_for();
  wait->set_what("policy: train");
  wait->set_since_ns(int64_t{1061} * 1000000000);
  wait->set_until_ns(int64_t{1181} * 1000000000);
  v1::MultiplierStatus* m = status.add_multipliers();
  m->set_constraint("harm");
  m->set_lambda(1.5);
  m->set_cost_window_mean(0.25);
  m->set_violation_rate(0.5);
  m->set_violation_low(0.4);
  m->set_violation_high(0.6);
  m->set_held(true);
  v1::ActorStatus* actor = status.add_actors();
  actor->mutable_address()->set_role("policy");
  actor->mutable_address()->set_name("policy");
  actor->set_phase(v1::BUSY);
  actor->set_pid(4711);
  actor->set_activity("Train step 3");
  return status;
}

class FakeCoordinator : public v1::Coordinator::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::JobStatusRequest* request,
                         v1::JobStatus* response) override {
    *response = SomeStatus();
    if (!request->without_job()) response->mutable_job()->set_steps(40);
    return grpc::Status::OK;
  }
  grpc::Status WatchStatus(grpc::ServerContext*, const v1::JobStatusRequest*,
                           grpc::ServerWriter<v1::JobStatus>* writer) override {
    v1::JobStatus status = SomeStatus();
    writer->Write(status);
    status.set_phase(v1::JOB_FINISHED);
    writer->Write(status);
    return grpc::Status::OK;
  }
  grpc::Status Pause(grpc::ServerContext*, const v1::ControlRequest* request,
                     v1::ControlResponse* response) override {
    response->set_message("paused after step 3, " + request->reason());
    return grpc::Status::OK;
  }
  grpc::Status Stop(grpc::ServerContext*, const v1::ControlRequest*, v1::ControlResponse*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "a swap is under way"};
  }
  grpc::Status Swap(grpc::ServerContext*, const v1::SwapRequest* request,
                    grpc::ServerWriter<v1::SwapProgress>* writer) override {
    asked = *request;
    if (request->name() == "toxicity") return {grpc::StatusCode::NOT_FOUND, "no cost 'toxicity'"};
    v1::SwapProgress progress;
    progress.set_stage(v1::SWAP_CANARY);
    progress.set_message("8 samples");
    writer->Write(progress);
    progress.set_stage(swap_end);
    progress.set_message("at step 4");
    writer->Write(progress);
    return grpc::Status::OK;
  }

  v1::SwapRequest asked;
  v1::SwapStage swap_end = v1::SWAP_DONE;
};

class ControlTest : public testing::Test {
 protected:
  ControlTest() {
    token_ = *transport::MakeToken(run() / "token");
    auto server = transport::Server::Start({.token = token_}, {&coordinator_});
    EXPECT_TRUE(server.ok());
    server_ = *std::move(server);
    EXPECT_TRUE(WriteFileAtomically(run() / "coordinator.address", server_->address() + "\n").ok());
  }
  const std::filesystem::path& run() const { return folder_.path(); }

  // Exit status; what was printed is in out_ and err_.
  int Rein(std::vector<std::string> words) {
    words.insert(words.begin(), "rein");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = RunCommandLine(static_cast<int>(argv.size()), argv.data(),
                                      {AddRunCommand, AddStatusCommand, AddSwapCommand, AddControlCommands,
                                       AddTraceCommand, AddVersionCommand});
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  }

  TestFolder folder_;
  FakeCoordinator coordinator_;
  std::string token_, out_, err_;
  std::unique_ptr<transport::Server> server_;
};

TEST_F(ControlTest, StatusAsJsonFollowsTheProto) {
  ASSERT_EQ(Rein({"status", "--run-dir", run().string(), "--json"}), 0) << err_;
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["phase"], "JOB_TRAINING");
  EXPECT_EQ(json["waiting_for"][0]["what"], "policy: train");
  EXPECT_EQ(json["job"]["steps"], 40);
}

TEST_F(ControlTest, StatusIsATableForReaders) {
  ASSERT_EQ(Rein({"status", "--run-dir", run().string()}), 0) << err_;
  EXPECT_EQ(out_.substr(0, out_.find("last")), StatusText(SomeStatus(), Paint(false)) + "\n");
  for (const char* part : {"phase        training\n", "step         3 of 40, committed 2\n",
                           "running for  1 min 05 s\n", "policy: train  4 s    1 min 56 s\n",
                           "harm        0.25  0        1.5 (held)  50.0 % (40.0 % - 60.0 %)\n",
                           "policy/policy/0  busy   4711"}) {
    EXPECT_THAT(out_, HasSubstr(part));
  }
}

TEST_F(ControlTest, WatchWritesALineAChangeUntilTheJobEnds) {
  ASSERT_EQ(Rein({"status", "--run-dir", run().string(), "--watch"}), 0) << err_;
  EXPECT_EQ(out_,
            "training  step 3/40  waits for policy: train (4 s)\n"
            "finished  step 3/40  waits for policy: train (4 s)\n");
}

TEST_F(ControlTest, StatusByAddressNeedsTheToken) {
  EXPECT_EQ(Rein({"status", "--address", server_->address()}), 1);
  EXPECT_THAT(err_, HasSubstr("--token-file"));
  EXPECT_EQ(Rein({"status", "--address", server_->address(), "--token-file", (run() / "token").string()}), 0);
  EXPECT_EQ(Rein({"status", "--address", "nonsense", "--run-dir", run().string()}), 1);
  EXPECT_THAT(err_, HasSubstr("'nonsense' is not an address"));
}

TEST_F(ControlTest, StatusOfAnEndedRunTellsItsFiles) {
  server_.reset();
  EXPECT_EQ(Rein({"status", "--run-dir", run().string()}), 1);
  folder_.Write("job.yaml", "");
  folder_.Write("outcome.json", R"({"state":"failed","step":3,"error":"disk full"})");
  folder_.Write("metrics.jsonl", "{\"step\":3,\"reward_mean\":2.5}\n");
  EXPECT_EQ(Rein({"status", "--run-dir", run().string()}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("failed after step 3"));
  EXPECT_THAT(out_, HasSubstr("disk full"));
  EXPECT_THAT(out_, HasSubstr("reward 2.5"));
}

TEST_F(ControlTest, StatusWithoutARunSaysWhatToDo) {
  EXPECT_EQ(Rein({"status", "--run-dir", "/nowhere"}), 1);
  EXPECT_EQ(err_, "error: no run folder at /nowhere\n");
  EXPECT_EQ(Rein({"status"}), 1);
  EXPECT_THAT(err_, HasSubstr("--run-dir"));
}

TEST_F(ControlTest, PauseTellsTheAnswer) {
  EXPECT_EQ(Rein({"pause", "--run-dir", run().string(), "--reason", "lunch"}), 0) << err_;
  EXPECT_EQ(out_, "paused after step 3, lunch\n");
}

TEST_F(ControlTest, ARefusalIsAnError) {
  EXPECT_EQ(Rein({"stop", "--run-dir", run().string()}), 1);
  EXPECT_EQ(err_, "error: a swap is under way\n");
}

TEST_F(ControlTest, ControlWithoutACoordinatorSaysSo) {
  std::filesystem::remove(run() / "coordinator.address");
  EXPECT_EQ(Rein({"pause", "--run-dir", run().string()}), 1);
  EXPECT_THAT(err_, HasSubstr("it is not going on"));
}

TEST_F(ControlTest, SwapSucceedsOnlyWhenTheNewScorerTookOver) {
  const std::string model = folder_.Write("model/config.json", "{}").parent_path().string();
  EXPECT_EQ(Rein({"swap", "cost", "--model", model, "--run-dir", run().string()}), 0) << err_;
  EXPECT_EQ(out_, "canary: 8 samples\ndone: at step 4\n");
  EXPECT_EQ(coordinator_.asked.model(), model);
  coordinator_.swap_end = v1::SWAP_ROLLED_BACK;
  EXPECT_EQ(Rein({"swap", "reward", "--scorer", "127.0.0.1:5000", "--run-dir", run().string()}), 1);
  EXPECT_THAT(err_, HasSubstr("did not take over"));
  EXPECT_EQ(coordinator_.asked.address(), "127.0.0.1:5000");
}

TEST_F(ControlTest, SwapRefusesWhatCannotWork) {
  EXPECT_EQ(Rein({"swap", "cost", "--model", "nothing", "--run-dir", run().string()}), 1);
  EXPECT_THAT(err_, HasSubstr("/nothing"));
  EXPECT_EQ(Rein({"swap", "policy", "--model", "x"}), 2);
  EXPECT_EQ(Rein({"swap", "cost"}), 2);
  EXPECT_THAT(err_, HasSubstr("--scorer"));
  EXPECT_EQ(Rein({"swap", "cost", "--scorer", "127.0.0.1:1", "--model", "x"}), 2);
  EXPECT_EQ(
      Rein({"swap", "cost", "--name", "toxicity", "--scorer", "127.0.0.1:1", "--run-dir", run().string()}),
      1);
  EXPECT_THAT(err_, HasSubstr("toxicity"));
}

TEST_F(ControlTest, WrongUseExitsWithTwoAndNamesTheNearest) {
  EXPECT_EQ(Rein({}), 2);
  EXPECT_EQ(Rein({"statsu"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean 'status'?"));
  EXPECT_EQ(Rein({"run"}), 2);
  EXPECT_THAT(err_, HasSubstr("job"));
  EXPECT_EQ(Rein({"run", "job.yaml", "--ruin-dir", "x"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean '--run-dir'?"));
  EXPECT_EQ(Rein({"run", "job.yaml", "--resume"}), 2);
  EXPECT_THAT(err_, HasSubstr("--run-dir"));
}

TEST_F(ControlTest, HelpListsTheVerbsAndExitStatuses) {
  EXPECT_EQ(Rein({"--help"}), 0);
  for (const char* word : {"run", "status", "swap", "pause", "checkpoint", "Exit status: 0 done"}) {
    EXPECT_THAT(out_, HasSubstr(word));
  }
  EXPECT_EQ(Rein({"swap", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--scorer"));
}

TEST_F(ControlTest, RunReadsItsFlagsInAnyOrder) {
  // The job is not there: what was parsed shows in the error.
  EXPECT_EQ(Rein({"run", "--set", "steps=1", "--set", "seed=2", "/nowhere/job.yaml"}), 1);
  EXPECT_THAT(err_, HasSubstr("/nowhere/job.yaml"));
}

TEST_F(ControlTest, VersionNamesLibraries) {
  EXPECT_EQ(Rein({"version"}), 0);
  EXPECT_THAT(out_, HasSubstr("rein"));
  EXPECT_THAT(out_, HasSubstr("gRPC"));
  EXPECT_THAT(out_, HasSubstr("LibTorch"));
}

TEST(FilesText, TellsAnInterruptedRun) {
  TestFolder folder;
  EXPECT_TRUE(absl::IsNotFound(FilesText(folder.path()).status()));
  folder.Write("job.yaml", "");
  folder.Write("checkpoints/step-6/manifest.json", "");
  EXPECT_THAT(*FilesText(folder.path()), HasSubstr("interrupted"));
  EXPECT_THAT(*FilesText(folder.path()), HasSubstr("step 6"));
  const auto lock = RunLock::Take(folder.path());
  EXPECT_THAT(*FilesText(folder.path()), HasSubstr("starting"));
}

}  // namespace
}  // namespace rein::cli
