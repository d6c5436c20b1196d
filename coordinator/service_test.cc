#include "coordinator/service.h"

#include <future>

#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/peer.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using Stub = v1::Coordinator::Stub;

constexpr absl::Duration kTimeout = absl::Seconds(30);

// A coordinator without actors, called over a connection.
class ServiceTest : public ::testing::Test {
 protected:
  transport::Peer Peer(const std::string& token) const {
    return *transport::Peer::Open(cluster_.server->address(), {.token = token});
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, const std::string& token) {
    const transport::Peer peer = Peer(token);
    const auto stub = v1::Coordinator::NewStub(peer.channel());
    return transport::Call<Stub, Request, Response>(peer, *stub, method, request, kTimeout);
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request = {}) {
    return Call(method, request, cluster_.world.token());
  }
  static v1::RegisterRequest Reward() {
    v1::RegisterRequest request;
    request.set_job_id("job-of-fakes");
    request.set_incarnation(9);
    request.mutable_status()->mutable_address()->set_role("reward");
    request.mutable_status()->mutable_address()->set_name("reward");
    request.mutable_status()->set_incarnation(9);
    return request;
  }

  Cluster cluster_;
};

TEST_F(ServiceTest, TellsAnActorEpochAndIntervalAndHearsIt) {
  cluster_.registry.Expect(Reward().status().address());
  const auto registered = Call(&Stub::Register, Reward());
  ASSERT_TRUE(registered.ok()) << registered.status();
  EXPECT_EQ(registered->coordinator_epoch(), 1u);
  EXPECT_EQ(registered->heartbeat_interval_ms(), 100);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_job_id("job-of-fakes");
  heartbeat.set_coordinator_epoch(1);
  *heartbeat.mutable_status() = Reward().status();
  EXPECT_EQ(Call(&Stub::Heartbeat, heartbeat).status(), absl::OkStatus());
  heartbeat.set_coordinator_epoch(2);
  EXPECT_EQ(Call(&Stub::Heartbeat, heartbeat).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Call(&Stub::GetStatus, v1::JobStatusRequest()).value().actors_size(), 1);
}

TEST_F(ServiceTest, RefusesWhoeverLacksTheToken) {
  const std::string other(64, '0');
  const auto unknown = absl::StatusCode::kUnauthenticated;
  EXPECT_EQ(Call(&Stub::Register, Reward(), other).status().code(), unknown);
  EXPECT_EQ(Call(&Stub::Heartbeat, v1::HeartbeatRequest(), other).status().code(), unknown);
  EXPECT_EQ(Call(&Stub::GetStatus, v1::JobStatusRequest(), other).status().code(), unknown);
  for (const auto method : {&Stub::Pause, &Stub::Resume, &Stub::Checkpoint, &Stub::Stop}) {
    EXPECT_EQ(Call<v1::ControlRequest>(method, {}, other).status().code(), unknown);
  }
  EXPECT_FALSE(cluster_.desk.paused());
  EXPECT_FALSE(cluster_.desk.stop_wanted());
}

TEST_F(ServiceTest, ShowsTheStatusWithOrWithoutTheJob) {
  EXPECT_EQ(Call(&Stub::GetStatus, v1::JobStatusRequest()).value().job().name(), "fakes");
  v1::JobStatusRequest brief;
  brief.set_without_job(true);
  EXPECT_FALSE(Call(&Stub::GetStatus, brief).value().has_job());
}

TEST_F(ServiceTest, ShowsEveryWatcherTheEndAndThenEnds) {
  const transport::Peer peer = Peer(cluster_.world.token());
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  grpc::ClientContext context;
  peer.Prepare(context, kTimeout);
  v1::JobStatusRequest request;
  request.set_min_interval_ms(1);
  const auto reader = stub->WatchStatus(&context, request);
  v1::JobStatus status;
  ASSERT_TRUE(reader->Read(&status));
  EXPECT_EQ(status.phase(), v1::JOB_STARTING);
  cluster_.board.SetPhase(v1::JOB_TRAINING);
  while (status.phase() != v1::JOB_TRAINING) ASSERT_TRUE(reader->Read(&status));
  cluster_.board.SetPhase(v1::JOB_FINISHED);
  while (status.phase() != v1::JOB_FINISHED) ASSERT_TRUE(reader->Read(&status));
  EXPECT_FALSE(reader->Read(&status));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ServiceTest, PausesAndGoesOn) {
  EXPECT_THAT(Call(&Stub::Pause, v1::ControlRequest()).value().message(), HasSubstr("pauses"));
  EXPECT_TRUE(cluster_.desk.paused());
  EXPECT_TRUE(Call(&Stub::Resume, v1::ControlRequest()).ok());
  EXPECT_FALSE(cluster_.desk.paused());
}

TEST_F(ServiceTest, CommitsAtTheBoundaryAndTellsTheFolder) {
  cluster_.desk.Pause();
  auto asked = std::async(std::launch::async, [&] { return Call(&Stub::Checkpoint, v1::ControlRequest()); });
  while (!cluster_.desk.RunWork()) cluster_.desk.AwaitChange(absl::Seconds(1));
  const auto response = asked.get();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->message(), EndsWith("step-1"));
}

TEST_F(ServiceTest, AnswersAStopWithTheEndOfTheJob) {
  cluster_.desk.Pause();
  auto asked = std::async(std::launch::async, [&] { return Call(&Stub::Stop, v1::ControlRequest()); });
  while (!cluster_.desk.stop_wanted()) cluster_.desk.AwaitChange(absl::Seconds(1));
  cluster_.desk.Close(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(asked.get().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Call(&Stub::Checkpoint, v1::ControlRequest()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServiceTest, RefusesASwapBeforeTheJobHasStarted) {
  const transport::Peer peer = Peer(cluster_.world.token());
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  grpc::ClientContext context;
  peer.Prepare(context, kTimeout);
  const auto reader = stub->Swap(&context, v1::SwapRequest());
  v1::SwapProgress progress;
  EXPECT_FALSE(reader->Read(&progress));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("has not started"));
}

}  // namespace
}  // namespace rein::coordinator
