#include "cli/run/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/test_folder.h"
#include "transport/peer.h"
#include "transport/server.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;
using Stub = v1::Launcher::Stub;

constexpr char kToken[] = "token";

// A launcher behind a real server; its actors are shell scripts that tell their arguments and wait.
class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_.path() / "logs");
    program_ = folder_.WriteScript("rein-actor", "echo \"$@\" $REIN_TEST_WORD\nexec sleep 600\n");
    auto children = ChildProcesses::Create([this](pid_t pid, int) {
      absl::MutexLock lock(&mutex_);
      ended_ = pid;
    });
    ASSERT_TRUE(children.ok());
    children_ = *std::move(children);
    launcher_ = std::make_unique<Launcher>(children_.get(), program_, folder_.path());
    auto server = transport::Server::Start({.token = kToken}, {launcher_.get()});
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
    peer_ = std::make_unique<transport::Peer>(*transport::Peer::Open(server_->address(), {kToken}));
    stub_ = v1::Launcher::NewStub(peer_->channel());
  }
  void TearDown() override {
    server_.reset();
    children_.reset();
  }

  static v1::ActorAddress Cost() {
    v1::ActorAddress address;
    address.set_role("cost");
    address.set_name("harm");
    address.set_replica(1);
    address.set_world(1);
    return address;
  }
  absl::StatusOr<v1::StartActorResponse> Start(const v1::ActorAddress& address) {
    v1::StartActorRequest request;
    *request.mutable_address() = address;
    (*request.mutable_environment())["REIN_TEST_WORD"] = "word";
    return transport::Call<Stub, v1::StartActorRequest, v1::StartActorResponse>(*peer_, *stub_, &Stub::Start,
                                                                                request, absl::Seconds(30));
  }
  absl::Status Stop(const v1::ActorAddress& address, int64_t pid) {
    v1::StopActorRequest request;
    *request.mutable_address() = address;
    request.set_pid(pid);
    request.set_grace_ms(20000);
    return transport::Call<Stub, v1::StopActorRequest, v1::StopActorResponse>(*peer_, *stub_, &Stub::Stop,
                                                                              request, absl::Seconds(30))
        .status();
  }
  v1::ListActorsResponse List() {
    auto list = transport::Call<Stub, v1::ListActorsRequest, v1::ListActorsResponse>(
        *peer_, *stub_, &Stub::List, {}, absl::Seconds(30));
    EXPECT_TRUE(list.ok()) << list.status();
    return list.value_or(v1::ListActorsResponse());
  }
  void AwaitEnd(pid_t pid) {
    absl::MutexLock lock(&mutex_);
    const auto gone = [this, pid] { return ended_ == pid; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&gone), absl::Seconds(30)));
  }

  TestFolder folder_;
  std::filesystem::path program_;
  absl::Mutex mutex_;
  pid_t ended_ = 0;
  std::unique_ptr<ChildProcesses> children_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<transport::Server> server_;
  std::unique_ptr<transport::Peer> peer_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(LauncherTest, StartsAnActorWithItsAddressAndLog) {
  const auto started = Start(Cost());
  ASSERT_TRUE(started.ok()) << started.status();
  const v1::ListActorsResponse list = List();
  ASSERT_EQ(list.actors_size(), 1);
  EXPECT_TRUE(list.actors(0).running());
  EXPECT_EQ(list.actors(0).pid(), started->pid());
  EXPECT_EQ(list.actors(0).address().name(), "harm");
  EXPECT_TRUE(Stop(Cost(), started->pid()).ok());
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "logs/cost-harm-1.log"));
}

TEST_F(LauncherTest, PassesFlagsAndEnvironment) {
  folder_.WriteScript("rein-actor", "echo \"$@\" $REIN_TEST_WORD\n");
  const auto started = Start(Cost());
  ASSERT_TRUE(started.ok());
  AwaitEnd(static_cast<pid_t>(started->pid()));
  EXPECT_EQ(*ReadFile(folder_.path() / "logs/cost-harm-1.log"),
            absl::StrCat("--run-dir ", folder_.path().string(),
                         " --role cost --name harm --replica 1 --rank 0 --world 1 --lifeline-fd 3 word\n"));
}

TEST_F(LauncherTest, RefusesASecondOneAtTheSameAddress) {
  ASSERT_TRUE(Start(Cost()).ok());
  const absl::Status second = Start(Cost()).status();
  EXPECT_TRUE(absl::IsAlreadyExists(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("cost/harm/1"));
}

TEST_F(LauncherTest, TellsAtOnceThatAnActorWasKilledAndStartsAnother) {
  const auto first = Start(Cost());
  ASSERT_TRUE(first.ok());
  kill(static_cast<pid_t>(first->pid()), SIGKILL);
  AwaitEnd(static_cast<pid_t>(first->pid()));
  EXPECT_FALSE(List().actors(0).running());
  EXPECT_EQ(List().actors(0).exit_status(), SIGKILL);
  const auto second = Start(Cost());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->pid(), first->pid());
  // Stop of the first one is late: the second goes on.
  EXPECT_TRUE(Stop(Cost(), first->pid()).ok());
  EXPECT_TRUE(List().actors(0).running());
}

TEST_F(LauncherTest, StopIsHarmlessWhenTheActorIsGone) {
  EXPECT_TRUE(Stop(Cost(), 0).ok());
  const auto started = Start(Cost());
  ASSERT_TRUE(Stop(Cost(), 0).ok());
  EXPECT_FALSE(List().actors(0).running());
  EXPECT_TRUE(Stop(Cost(), started->pid()).ok());
}

TEST_F(LauncherTest, AnswersUnavailableWhenTheProgramCannotBeStarted) {
  std::filesystem::remove(program_);
  const absl::Status status = Start(Cost()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("rein-actor"));
}

TEST_F(LauncherTest, RefusesAnAddressThatIsNone) {
  v1::ActorAddress address = Cost();
  address.set_name("../../etc");
  EXPECT_TRUE(absl::IsInvalidArgument(Start(address).status()));
  address.set_name("");
  EXPECT_TRUE(absl::IsInvalidArgument(Start(address).status()));
  EXPECT_EQ(List().actors_size(), 0);
}

TEST_F(LauncherTest, DemandsTheToken) {
  const auto stranger = transport::Peer::Open(server_->address(), {"wrong"});
  const auto stub = v1::Launcher::NewStub(stranger->channel());
  const auto list = transport::Call<Stub, v1::ListActorsRequest, v1::ListActorsResponse>(
      *stranger, *stub, &Stub::List, {}, absl::Seconds(30));
  EXPECT_TRUE(absl::IsUnauthenticated(list.status())) << list.status();
}

}  // namespace
}  // namespace rein::cli
