#include "cli/run/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/file.h"
#include "cli/run/job_for_test.h"
#include "cli/run/leftovers.h"
#include "cli/run/stop_signals.h"
#include "rein/v1/coordinator.grpc.pb.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Runs shell scripts in place of rein-coordinator; $RUN in them is the run folder.
class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() : run_(folder_.path() / "run"), out_(tmpfile()) {
    const auto job = WriteTestJob(folder_);
    run_folder_ = *PrepareRunFolder({job.string(), {}, run_.string(), false}, absl::Now());
  }
  ~SupervisorTest() override { fclose(out_); }

  void Coordinator(const std::string& body) const {
    folder_.WriteScript("bin/rein-coordinator", absl::StrCat("RUN=$2\n", body));
  }
  std::unique_ptr<Supervisor> Make() {
    SupervisorOptions options;
    options.programs = folder_.path() / "bin";
    options.out = out_;
    options.grace = absl::Milliseconds(200);
    return std::make_unique<Supervisor>(run_folder_, options);
  }
  Outcome Run() {
    const absl::StatusOr<Outcome> outcome = Make()->Run();
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(Outcome());
  }
  // The script writes its pid.
  bool CoordinatorIsGone() const {
    int pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(ReadLine(run_ / "pid").value_or(""), &pid));
    return kill(pid, 0) != 0 && errno == ESRCH;
  }
  std::string Output() {
    rewind(out_);
    std::string text(1 << 16, '\0');
    text.resize(fread(text.data(), 1, text.size(), out_));
    return text;
  }

  TestFolder folder_;
  const std::filesystem::path run_;
  FILE* const out_;
  RunFolder run_folder_;
};

constexpr char kFinish[] = R"(echo '{"state":"finished","step":4,"error":""}' > $RUN/outcome.json
exit 0
)";

TEST_F(SupervisorTest, ReturnsTheCoordinatorsOutcome) {
  Coordinator(absl::StrCat("cat $RUN/launcher.address\n", kFinish));
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.state, "finished");
  EXPECT_EQ(outcome.step, 4);
  EXPECT_THAT(*ReadFile(run_ / "logs/coordinator.log"), testing::StartsWith("127.0.0.1:"));
}

TEST_F(SupervisorTest, TellsWhyTheJobFailed) {
  Coordinator(
      "echo '{\"state\":\"failed\",\"step\":2,\"error\":\"model.safetensors\"}' > $RUN/outcome.json\nexit "
      "1\n");
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.state, "failed");
  EXPECT_EQ(outcome.error, "model.safetensors");
}

TEST_F(SupervisorTest, RestartsAfterACrashAndSaysSo) {
  Coordinator(absl::StrCat("[ -e $RUN/was_here ] || { touch $RUN/was_here; kill -9 $$; }\n", kFinish));
  EXPECT_EQ(Run().state, "finished");
  EXPECT_THAT(Output(), HasSubstr("the coordinator crashed (killed by signal 9 (Killed)); restarting it"));
}

TEST_F(SupervisorTest, GivesUpAfterCrashesWithoutACommit) {
  Coordinator("echo start >> $RUN/starts\necho what went wrong >&2\nkill -9 $$\n");
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.state, "failed");
  EXPECT_THAT(outcome.error, HasSubstr("limits.max_restarts = 2"));
  EXPECT_THAT(outcome.error, HasSubstr("its last words: what went wrong"));
  EXPECT_EQ(*ReadFile(run_ / "starts"), "start\nstart\nstart\n");
}

TEST_F(SupervisorTest, CountsAnewAfterACommit) {
  Coordinator(absl::StrCat("echo start >> $RUN/starts\nn=$(wc -l < $RUN/starts)\n", "[ $n = 6 ] && {\n",
                           kFinish, "}\n", "mkdir -p $RUN/checkpoints/step-$((n / 2))\nkill -9 $$\n"));
  EXPECT_EQ(Run().state, "finished");
}

TEST_F(SupervisorTest, FailsWhenTheCoordinatorEndsWithoutAWord) {
  Coordinator("exit 1\n");
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.state, "failed");
  EXPECT_THAT(outcome.error, HasSubstr("outcome.json"));
}

TEST_F(SupervisorTest, NamesAMissingProgram) {
  const absl::Status status = Make()->Run().status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("rein-coordinator"));
}

TEST_F(SupervisorTest, EndsEverythingWhenTheCoordinatorNeverServed) {
  Coordinator("echo $$ > $RUN/pid\ntouch $RUN/started\nexec sleep 600\n");
  const auto supervisor = Make();
  std::thread user([&] {
    EXPECT_TRUE(WaitForFile(run_, "started"));
    supervisor->RequestStop();
  });
  const auto outcome = supervisor->Run();
  user.join();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->state, "stopped");
  EXPECT_TRUE(CoordinatorIsGone());
}

enum class OnStop { kEnd, kRefuse, kEndWithoutAnswer, kNothing, kHangUps };

// A coordinator whose services are in this process: Stop lets the script beside it end.
class StoppingCoordinator : public v1::Coordinator::Service {
 public:
  StoppingCoordinator(std::filesystem::path run_dir, OnStop on_stop)
      : run_dir_(std::move(run_dir)), on_stop_(on_stop) {}
  grpc::Status Stop(grpc::ServerContext*, const v1::ControlRequest* request, v1::ControlResponse*) override {
    asked.Notify();
    if (on_stop_ == OnStop::kNothing || on_stop_ == OnStop::kHangUps) return grpc::Status::OK;
    if (on_stop_ == OnStop::kRefuse) return {grpc::StatusCode::INTERNAL, "cannot stop"};
    EXPECT_THAT(request->reason(), HasSubstr("interrupted"));
    std::ofstream(run_dir_ / "stop") << "stop\n";
    if (on_stop_ == OnStop::kEndWithoutAnswer) return {grpc::StatusCode::UNAVAILABLE, "gone"};
    return grpc::Status::OK;
  }
  grpc::Status WatchStatus(grpc::ServerContext*, const v1::JobStatusRequest*,
                           grpc::ServerWriter<v1::JobStatus>* writer) override {
    v1::JobStatus status;
    status.set_actor_restarts(2);
    writer->Write(status);
    return grpc::Status::OK;
  }
  absl::Notification asked;

 private:
  const std::filesystem::path run_dir_;
  const OnStop on_stop_;
};

// Serves beside a script that reads the pipe `stop` in the run folder.
class StopTest : public SupervisorTest {
 protected:
  Outcome RunAndStop(OnStop on_stop) {
    StoppingCoordinator service(run_, on_stop);
    const auto server = transport::Server::Start({.token = run_folder_.token}, {&service});
    // The supervisor removes a stale address before it starts the coordinator, which writes its own.
    Coordinator(absl::StrCat("mkfifo $RUN/stop\necho $$ > $RUN/pid\necho ", (*server)->address(),
                             " > $RUN/address.new\nmv $RUN/address.new $RUN/coordinator.address\n",
                             "read word < $RUN/stop\n",
                             "echo '{\"state\":\"stopped\",\"step\":2}' > $RUN/outcome.json\nexit 0\n"));
    const auto supervisor = Make();
    std::thread user([&] {
      EXPECT_TRUE(WaitForFile(run_, "coordinator.address"));
      supervisor->RequestStop(/*hang_up=*/on_stop == OnStop::kHangUps);
      service.asked.WaitForNotification();
      if (on_stop == OnStop::kNothing) supervisor->RequestStop();
      if (on_stop != OnStop::kHangUps) return;
      for (int i = 0; i < 2; ++i) supervisor->RequestStop(/*hang_up=*/true);
      std::ofstream(run_ / "stop") << "stop\n";
    });
    const auto outcome = supervisor->Run();
    user.join();
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(Outcome());
  }
};

TEST_F(StopTest, AsksTheCoordinatorFirst) {
  const Outcome outcome = RunAndStop(OnStop::kEnd);
  EXPECT_EQ(outcome.state, "stopped");
  EXPECT_EQ(outcome.step, 2);
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_THAT(Output(), HasSubstr("once more to end now"));
}

TEST_F(StopTest, TakesTheOutcomeWhereTheAnswerWasLost) {
  const Outcome outcome = RunAndStop(OnStop::kEndWithoutAnswer);
  EXPECT_EQ(outcome.state, "stopped");
  EXPECT_EQ(outcome.step, 2);
  EXPECT_THAT(outcome.error, IsEmpty());
}

TEST_F(StopTest, EndsACoordinatorThatDoesNotTakeTheRequest) {
  const Outcome outcome = RunAndStop(OnStop::kRefuse);
  EXPECT_EQ(outcome.state, "stopped");
  EXPECT_THAT(outcome.error, HasSubstr("cannot stop"));
  EXPECT_TRUE(CoordinatorIsGone());
}

TEST_F(StopTest, TakesAHangUpForTheFirstRequestOnly) {
  const Outcome outcome = RunAndStop(OnStop::kHangUps);
  EXPECT_EQ(outcome.state, "stopped");
  EXPECT_EQ(outcome.step, 2);
  EXPECT_THAT(outcome.error, IsEmpty());
}

TEST_F(StopTest, EndsAtOnceWhenAskedForTheSecondTime) {
  const Outcome outcome = RunAndStop(OnStop::kNothing);
  EXPECT_EQ(outcome.state, "stopped");
  EXPECT_THAT(outcome.error, HasSubstr("second time"));
  EXPECT_TRUE(CoordinatorIsGone());
}

// Ends with the number of the first of the signals that has become a call.
[[noreturn]] void SendToSelf(std::initializer_list<int> numbers) {
  absl::Notification called;
  int first = 0;
  const StopSignals signals([&](int number) {
    if (first == 0) first = number;
    if (!called.HasBeenNotified()) called.Notify();
  });
  for (const int number : numbers) kill(getpid(), number);
  _exit(called.WaitForNotificationWithTimeout(absl::Seconds(30)) ? first : 0);
}

TEST(StopSignalsDeathTest, BecomeCalls) {
  // In a process of its own: threads that earlier tests left behind do not block these signals.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(SendToSelf({number}), testing::ExitedWithCode(number), "");
  }
}

[[noreturn]] void SendToSelfUnderNohup() {
  signal(SIGHUP, SIG_IGN);
  SendToSelf({SIGHUP, SIGTERM});
}

TEST(StopSignalsDeathTest, LeaveAHangUpIgnored) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(SendToSelfUnderNohup(), testing::ExitedWithCode(SIGTERM), "");
}

TEST(Leftovers, AreFoundByProgramAndRunFolderAndKilled) {
  TestFolder folder;
  const auto children = ChildProcesses::Create([](pid_t, int) {});
  // A copy of the shell under our name: a script would appear as /bin/sh.
  std::filesystem::create_directories(folder.path() / "bin");
  std::filesystem::copy("/bin/sh", folder.path() / "bin/rein-actor");
  const std::string script = absl::StrCat("trap '' TERM; cd ", folder.path().string(),
                                          "; mkfifo never; : > ready; read word < never");
  const ChildCommand command{.program = folder.path() / "bin/rein-actor",
                             .arguments = {"-c", script, "--run-dir", "/run/one"},
                             .log = folder.path() / "log"};
  const pid_t pid = *(*children)->Start(command);
  ASSERT_TRUE(WaitForFile(folder.path(), "ready"));
  EXPECT_THAT(FindProcesses(folder.path() / "bin", "/run/other"), IsEmpty());
  EXPECT_THAT(FindProcesses(folder.path(), "/run/one"), IsEmpty());
  EXPECT_THAT(FindProcesses(folder.path() / "bin", "/run/one"), testing::ElementsAre(pid));
  EndLeftovers(folder.path() / "bin", "/run/one", absl::ZeroDuration());
  EXPECT_THAT(FindProcesses(folder.path() / "bin", "/run/one"), IsEmpty());
}

}  // namespace
}  // namespace rein::cli
