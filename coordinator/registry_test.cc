#include "coordinator/registry.h"

#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kJobId[] = "job-1";
const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

v1::ActorAddress Cost() {
  v1::ActorAddress address;
  address.set_role("cost");
  address.set_name("harm");
  return address;
}

v1::ActorStatus StatusOf(uint64_t incarnation, int64_t pid = 10) {
  v1::ActorStatus status;
  *status.mutable_address() = Cost();
  status.set_incarnation(incarnation);
  status.set_pid(pid);
  status.set_phase(v1::READY);
  return status;
}

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() : registry_(kJobId, Limits(), [this] { ++changes_; }) {
    registry_.SetEpoch(7);
    registry_.Expect(Cost());
  }
  static v1::Limits Limits() {
    v1::Limits limits;
    limits.set_suspect_after_s(3);
    limits.set_dead_after_s(5);
    return limits;
  }
  absl::Status Register(uint64_t incarnation, absl::Time now, int64_t pid = 10) {
    v1::RegisterRequest request;
    request.set_job_id(kJobId);
    request.set_incarnation(incarnation);
    *request.mutable_status() = StatusOf(incarnation, pid);
    return registry_.Register(request, now);
  }
  absl::Status Heartbeat(uint64_t incarnation, uint64_t epoch, absl::Time now) {
    v1::HeartbeatRequest request;
    request.set_job_id(kJobId);
    request.set_coordinator_epoch(epoch);
    *request.mutable_status() = StatusOf(incarnation);
    return registry_.Heartbeat(request, now);
  }
  v1::ActorPhase PhaseAt(absl::Time now) const { return registry_.All(now).at(0).phase(); }

  int changes_ = 0;
  Registry registry_;
};

TEST_F(RegistryTest, KnowsAnActorFromItsRegistrationOn) {
  EXPECT_FALSE(registry_.Find(Cost(), kStart).has_value());
  EXPECT_THAT(registry_.All(kStart), SizeIs(0));
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  ASSERT_TRUE(registry_.Find(Cost(), kStart).has_value());
  EXPECT_EQ(registry_.Find(Cost(), kStart)->incarnation(), 1u);
  EXPECT_EQ(PhaseAt(kStart), v1::READY);
  EXPECT_EQ(changes_, 1);
}

TEST_F(RegistryTest, AsksActorsToComeAgainUntilAllPlacesAreKnown) {
  v1::RegisterRequest request;
  request.set_job_id(kJobId);
  request.mutable_status()->mutable_address()->set_role("reward");
  EXPECT_EQ(registry_.Register(request, kStart).code(), absl::StatusCode::kUnavailable);
  registry_.Expect(request.status().address());
  EXPECT_EQ(registry_.Register(request, kStart), absl::OkStatus());
}

TEST_F(RegistryTest, RefusesActorsThatTheJobHasNoPlaceForAndNamesThePlaces) {
  registry_.Complete();
  v1::RegisterRequest request;
  request.set_job_id(kJobId);
  request.mutable_status()->mutable_address()->set_role("guard");
  const absl::Status status = registry_.Register(request, kStart);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("guard//0"), HasSubstr("cost/harm/0")));
  EXPECT_EQ(changes_, 0);
}

TEST_F(RegistryTest, RefusesActorsOfAnotherJob) {
  v1::RegisterRequest registration;
  registration.set_job_id("job-2");
  *registration.mutable_status() = StatusOf(1);
  EXPECT_EQ(registry_.Register(registration, kStart).code(), absl::StatusCode::kPermissionDenied);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_job_id("job-2");
  EXPECT_EQ(registry_.Heartbeat(heartbeat, kStart).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(RegistryTest, AsksForANewRegistrationAfterAHeartbeatOfAnOldEpoch) {
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  EXPECT_EQ(Heartbeat(1, 7, kStart), absl::OkStatus());
  registry_.SetEpoch(8);
  const absl::Status status = Heartbeat(1, 7, kStart);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(status.message(), HasSubstr("register again"));
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  EXPECT_EQ(Heartbeat(1, 8, kStart), absl::OkStatus());
}

TEST_F(RegistryTest, RefusesHeartbeatsOfStrangersAndOfEarlierIncarnations) {
  EXPECT_EQ(Heartbeat(1, 7, kStart).code(), absl::StatusCode::kAborted);
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  ASSERT_EQ(Register(2, kStart), absl::OkStatus());
  EXPECT_EQ(Heartbeat(1, 7, kStart).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Heartbeat(2, 7, kStart), absl::OkStatus());
}

TEST_F(RegistryTest, CallsASilentActorSuspectAndThenDead) {
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  EXPECT_EQ(PhaseAt(kStart + absl::Seconds(3)), v1::READY);
  EXPECT_EQ(PhaseAt(kStart + absl::Seconds(4)), v1::SUSPECT);
  EXPECT_TRUE(registry_.Find(Cost(), kStart + absl::Seconds(4)).has_value());
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart + absl::Seconds(5)), "");
  EXPECT_EQ(PhaseAt(kStart + absl::Seconds(6)), v1::DEAD);
  EXPECT_FALSE(registry_.Find(Cost(), kStart + absl::Seconds(6)).has_value());
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart + absl::Seconds(6)), "no heartbeat for 6s");
}

TEST_F(RegistryTest, HearsAHeartbeatAsASignOfLife) {
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  ASSERT_EQ(Heartbeat(1, 7, kStart + absl::Seconds(4)), absl::OkStatus());
  EXPECT_EQ(PhaseAt(kStart + absl::Seconds(7)), v1::READY);
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart + absl::Seconds(9)), "");
}

TEST_F(RegistryTest, KnowsAtOnceThatAProcessHasEnded) {
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  registry_.MarkExited(Cost(), 11);  // another process of this place
  EXPECT_TRUE(registry_.Find(Cost(), kStart).has_value());
  registry_.MarkExited(Cost(), 10);
  EXPECT_FALSE(registry_.Find(Cost(), kStart).has_value());
  EXPECT_EQ(PhaseAt(kStart), v1::DEAD);
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart), "its process has ended");
  ASSERT_EQ(Register(2, kStart, 12), absl::OkStatus());
  EXPECT_EQ(registry_.GoneBecause(Cost(), 2, kStart), "");
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart), "another incarnation has registered");
}

TEST_F(RegistryTest, BelievesANewActorThatHasTheProcessIdOfADeadOne) {
  registry_.MarkExited(Cost(), 10);
  ASSERT_EQ(Register(2, kStart, 10), absl::OkStatus());
  EXPECT_TRUE(registry_.Find(Cost(), kStart).has_value());
}

TEST_F(RegistryTest, ForgetsAPlace) {
  ASSERT_EQ(Register(1, kStart), absl::OkStatus());
  registry_.Complete();
  registry_.Forget(Cost());
  EXPECT_EQ(registry_.GoneBecause(Cost(), 1, kStart), "it has not registered");
  EXPECT_EQ(Register(1, kStart).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RegistryTest, WakesWhoeverWaitsForAChange) {
  const uint64_t seen = registry_.AwaitChange(0, absl::ZeroDuration());
  EXPECT_EQ(registry_.AwaitChange(seen, absl::ZeroDuration()), seen);
  std::thread actor([this] { EXPECT_EQ(Register(1, kStart), absl::OkStatus()); });
  EXPECT_NE(registry_.AwaitChange(seen, absl::Seconds(60)), seen);
  actor.join();
}

}  // namespace
}  // namespace rein::coordinator
