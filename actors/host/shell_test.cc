// The shell around every role, over real connections on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "actors/host/actor_process.h"
#include "actors/host/fake_coordinator.h"
#include "base/file.h"
#include "rein/v1/actor.grpc.pb.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;

std::filesystem::path AddressFile() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  return std::filesystem::path(testing::TempDir()) / (std::string("rein_shell_") + test->name() + ".address");
}

// A role without a model; what Configure does is the test's choice.
struct TestRole : Role {
  std::vector<grpc::Service*> services() override { return {}; }
  absl::StatusOr<v1::ModelInfo> Configure(const Configuration& configuration) override {
    ++configured;
    if (in_configure) {
      const absl::Status status = in_configure();
      if (!status.ok()) return status;
    }
    v1::ModelInfo info;
    info.set_path(configuration.model.string());
    info.set_digest("digest");
    return info;
  }
  std::atomic<int> configured = 0;
  std::function<absl::Status()> in_configure;
};

class Shell : public testing::Test {
 protected:
  void Start() { Start(TestProcess(AddressFile(), TestAddress("reward", "reward"))); }
  void Start(const ProcessOptions& options) {
    auto process = ActorProcess::Start(options, [this](Host&) {
      auto role = std::make_unique<TestRole>();
      role->in_configure = in_configure_;
      role_ = role.get();
      return role;
    });
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    peer_ = std::make_unique<transport::Peer>(TestPeer(process_->address()));
    stub_ = v1::Actor::NewStub(peer_->channel());
  }

  v1::ConfigureRequest ConfigureRequest() {
    v1::ConfigureRequest request;
    *request.mutable_fence() = TestFence("configure");
    *request.mutable_job() = TestJob("actors: [{role: reward, name: reward, model: /m, threads: 1}]\n");
    *request.mutable_address() = TestAddress("reward", "reward");
    request.set_model("/m");
    request.set_blobs_address(coordinator_->address());
    return request;
  }
  absl::StatusOr<v1::ConfigureResponse> Configure(const v1::ConfigureRequest& request) {
    return transport::Call(*peer_, *stub_, &v1::Actor::Stub::Configure, request, kPatience);
  }
  v1::ActorStatus GetStatus() {
    const auto status =
        transport::Call(*peer_, *stub_, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(), kPatience);
    EXPECT_TRUE(status.ok()) << status.status();
    return *status;
  }
  absl::Status Drain(absl::Duration timeout) {
    v1::DrainRequest request;
    *request.mutable_fence() = TestFence("drain");
    return transport::Call(*peer_, *stub_, &v1::Actor::Stub::Drain, request, timeout).status();
  }

  std::unique_ptr<FakeCoordinator> coordinator_ = std::make_unique<FakeCoordinator>(AddressFile(), 1);
  std::function<absl::Status()> in_configure_;
  TestRole* role_ = nullptr;
  std::unique_ptr<ActorProcess> process_;
  std::unique_ptr<transport::Peer> peer_;
  std::unique_ptr<v1::Actor::Stub> stub_;
};

TEST_F(Shell, RegistersWithItsIncarnationAndSendsHeartbeats) {
  Start();
  ASSERT_TRUE(coordinator_->AwaitHeartbeats(3));
  const v1::RegisterRequest registration = coordinator_->last_registration();
  EXPECT_EQ(registration.job_id(), kJobId);
  EXPECT_EQ(registration.incarnation(), kIncarnation);
  EXPECT_EQ(registration.status().listen_address(), process_->address());
  EXPECT_EQ(registration.status().phase(), v1::STARTING);
  EXPECT_EQ(registration.status().pid(), getpid());
}

TEST_F(Shell, RegistersAgainUnderANewEpochAndThenRefusesTheOldOne) {
  Start();
  ASSERT_TRUE(coordinator_->AwaitHeartbeats(1));
  coordinator_->SetEpoch(2);
  ASSERT_TRUE(coordinator_->AwaitRegistrations(2));
  ASSERT_TRUE(coordinator_->AwaitHeartbeats(2));
  const absl::Status old = Configure(ConfigureRequest()).status();
  EXPECT_EQ(old.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(old.message()), HasSubstr("epoch 1"));
  v1::ConfigureRequest request = ConfigureRequest();
  *request.mutable_fence() = TestFence("configure", 2);
  EXPECT_EQ(Configure(request).status(), absl::OkStatus());
}

TEST_F(Shell, FindsACoordinatorThatCameBackAtAnotherAddress) {
  Start();
  ASSERT_TRUE(coordinator_->AwaitHeartbeats(1));
  coordinator_ = nullptr;
  coordinator_ = std::make_unique<FakeCoordinator>(AddressFile(), 2);
  EXPECT_TRUE(coordinator_->AwaitHeartbeats(1));
  EXPECT_EQ(process_->host().fence().epoch(), 2);
}

TEST_F(Shell, GivesUpWhenNoCoordinatorIsFound) {
  coordinator_ = nullptr;
  std::filesystem::remove(AddressFile());
  ProcessOptions options = TestProcess(AddressFile(), TestAddress("reward", "reward"));
  options.registration.give_up_after = absl::Milliseconds(50);
  absl::Notification ended;
  absl::Status reason;
  options.on_end = [&](const absl::Status& status) {
    reason = status;
    ended.Notify();
  };
  Start(options);
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(reason.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(reason.message()), HasSubstr(AddressFile().string()));
}

TEST_F(Shell, EndsWhenTheCoordinatorHasNoPlaceForIt) {
  coordinator_->Refuse(absl::InvalidArgumentError("no such role"));
  ProcessOptions options = TestProcess(AddressFile(), TestAddress("reward", "reward"));
  absl::Notification ended;
  absl::Status reason;
  options.on_end = [&](const absl::Status& status) {
    reason = status;
    ended.Notify();
  };
  Start(options);
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(reason.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Shell, ConfiguresOnceHoweverOftenAsked) {
  Start();
  for (int i = 0; i < 3; ++i) {
    const auto answer = Configure(ConfigureRequest());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->model().path(), "/m");
  }
  EXPECT_EQ(role_->configured, 1);
  EXPECT_EQ(GetStatus().phase(), v1::READY);
  EXPECT_EQ(GetStatus().model().digest(), "digest");
}

TEST_F(Shell, TakesASwappedNeighbourAndAnotherBlobsAddressAsTheSameConfiguration) {
  Start();
  ASSERT_EQ(Configure(ConfigureRequest()).status(), absl::OkStatus());
  v1::ConfigureRequest request = ConfigureRequest();
  request.set_blobs_address("127.0.0.1:1");
  request.mutable_job()->add_actors()->set_role("cost");
  EXPECT_EQ(Configure(request).status(), absl::OkStatus());
  EXPECT_EQ(role_->configured, 1);
}

TEST_F(Shell, RefusesToBeConfiguredOtherwise) {
  Start();
  ASSERT_EQ(Configure(ConfigureRequest()).status(), absl::OkStatus());
  v1::ConfigureRequest request = ConfigureRequest();
  request.set_model("/other");
  const absl::Status status = Configure(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/other"));
}

TEST_F(Shell, CanBeConfiguredAfterAFailure) {
  std::atomic<bool> broken = true;
  in_configure_ = [&] {
    return broken ? absl::InvalidArgumentError("model folder /m: no config.json") : absl::OkStatus();
  };
  Start();
  const absl::Status status = Configure(ConfigureRequest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no config.json"));
  EXPECT_EQ(GetStatus().phase(), v1::STARTING);
  broken = false;
  EXPECT_EQ(Configure(ConfigureRequest()).status(), absl::OkStatus());
}

TEST_F(Shell, TurnsExceptionsIntoErrors) {
  std::atomic<int> calls = 0;
  in_configure_ = [&]() -> absl::Status {
    if (calls++ == 0) throw std::bad_alloc();
    throw std::runtime_error("something broke");
  };
  Start();
  EXPECT_EQ(Configure(ConfigureRequest()).status().code(), absl::StatusCode::kResourceExhausted);
  const absl::Status status = Configure(ConfigureRequest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("something broke"));
}

TEST_F(Shell, RefusesWhatIsNotMeantForIt) {
  Start();
  v1::ConfigureRequest request = ConfigureRequest();
  request.mutable_fence()->set_actor_incarnation(1);
  EXPECT_EQ(Configure(request).status().code(), absl::StatusCode::kAborted);
  request = ConfigureRequest();
  request.mutable_fence()->set_job_id("another");
  EXPECT_EQ(Configure(request).status().code(), absl::StatusCode::kPermissionDenied);
  request = ConfigureRequest();
  request.mutable_address()->set_role("cost");
  EXPECT_EQ(Configure(request).status().code(), absl::StatusCode::kInvalidArgument);
  request = ConfigureRequest();
  request.mutable_job()->clear_actors();
  EXPECT_EQ(Configure(request).status().code(), absl::StatusCode::kInvalidArgument);
  peer_ = std::make_unique<transport::Peer>(TestPeer(process_->address(), "wrong"));
  stub_ = v1::Actor::NewStub(peer_->channel());
  EXPECT_EQ(Configure(ConfigureRequest()).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(role_->configured, 0);
}

TEST_F(Shell, TellsItsStatusWhileTheExecutorWorks) {
  absl::Notification inside, go_on;
  in_configure_ = [&] {
    inside.Notify();
    go_on.WaitForNotification();
    return absl::OkStatus();
  };
  Start();
  std::thread configure([&] { EXPECT_EQ(Configure(ConfigureRequest()).status(), absl::OkStatus()); });
  inside.WaitForNotification();
  const v1::ActorStatus status = GetStatus();
  EXPECT_EQ(status.phase(), v1::CONFIGURING);
  EXPECT_EQ(status.activity(), "Configure");
  EXPECT_GT(status.rss_bytes(), 1 << 20);
  go_on.Notify();
  configure.join();
  EXPECT_EQ(GetStatus().phase(), v1::READY);
}

TEST_F(Shell, DrainsWhatItAcceptedAndTakesNoMore) {
  Start();
  ASSERT_EQ(Configure(ConfigureRequest()).status(), absl::OkStatus());
  absl::Notification inside, go_on;
  std::thread work([&] {
    EXPECT_EQ(process_->host().Run("work",
                                   [&] {
                                     inside.Notify();
                                     go_on.WaitForNotification();
                                     return absl::OkStatus();
                                   }),
              absl::OkStatus());
  });
  inside.WaitForNotification();
  EXPECT_EQ(Drain(absl::Milliseconds(50)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(process_->host().Admit(TestFence("late")).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(GetStatus().phase(), v1::DRAINING);
  go_on.Notify();
  work.join();
  EXPECT_EQ(Drain(kPatience), absl::OkStatus());
}

TEST_F(Shell, EndsWhenAskedTo) {
  ProcessOptions options = TestProcess(AddressFile(), TestAddress("reward", "reward"));
  absl::Notification ended;
  options.on_end = [&](const absl::Status& status) {
    EXPECT_EQ(status, absl::OkStatus());
    ended.Notify();
  };
  Start(options);
  v1::ShutdownRequest request;
  *request.mutable_fence() = TestFence("shutdown");
  EXPECT_EQ(transport::Call(*peer_, *stub_, &v1::Actor::Stub::Shutdown, request, kPatience).status(),
            absl::OkStatus());
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(Shell, RefusesWorkBeforeItIsConfigured) {
  Start();
  EXPECT_EQ(process_->host().Admit(TestFence("early")).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace rein::host
