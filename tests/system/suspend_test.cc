// Processes that hang (SIGSTOP) instead of dying: noticed by their silence, named, replaced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

struct Victim {
  std::string role;
  std::string name;
};

// Stops the actor's process, expects it to be called silent and then to be replaced, and the job to go on.
void SuspendAndExpectAnother(Job& job, const Victim& victim) {
  SCOPED_TRACE(absl::StrCat(victim.role, " ", victim.name));
  const auto actor = [&](const v1::JobStatus& status) {
    const v1::ActorStatus* found = Job::Find(status, victim.role, victim.name);
    return found == nullptr ? v1::ActorStatus() : *found;
  };
  v1::JobStatus before, after;
  ASSERT_TRUE(job.WaitFor(
      [&](const v1::JobStatus& s) {
        return s.phase() == v1::JOB_GENERATING && actor(s).phase() == v1::READY;
      },
      &before));
  const auto pid = static_cast<pid_t>(actor(before).pid());
  ASSERT_GT(pid, 0);
  kill(pid, SIGSTOP);
  const absl::Cleanup wake = [pid] { kill(pid, SIGCONT); };
  EXPECT_TRUE(job.WaitFor([&](const v1::JobStatus& s) {
    const v1::ActorPhase phase = actor(s).phase();
    return phase == v1::SUSPECT || phase == v1::DEAD;
  })) << "nobody noticed";
  ASSERT_TRUE(job.WaitFor(
      [&](const v1::JobStatus& s) {
        return actor(s).pid() != pid && s.committed_step() > before.committed_step() + 1;
      },
      &after));
  EXPECT_GT(after.actor_restarts(), before.actor_restarts());
  EXPECT_TRUE(WaitUntilGone(pid, absl::Seconds(10))) << "the silent process is left behind";
}

TEST(Suspend, OfAnActorOfEachKindIsNoticedAndItIsReplaced) {
  Job job("suspend", {"steps=1000", "checkpoint.every=1", "limits.heartbeat_s=0.2",
                      "limits.suspect_after_s=1", "limits.dead_after_s=2"});
  for (const Victim& victim : {Victim{"rollout", ""}, Victim{"reference", ""}, Victim{"reward", ""},
                               Victim{"cost", ""}, Victim{"critic", "cost"}, Victim{"policy", ""}}) {
    SuspendAndExpectAnother(job, victim);
    if (testing::Test::HasFailure()) break;
  }
  job.StopEarly();
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), testing::IsEmpty());
}

TEST(Suspend, OfTheCoordinatorIsGotOver) {
  Job job("suspend_coordinator", {"steps=4"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 2; }));
  const pid_t coordinator = job.CoordinatorPid();
  ASSERT_GT(coordinator, 0);
  kill(coordinator, SIGSTOP);
  EXPECT_FALSE(WaitUntilGone(coordinator, absl::Seconds(2)));
  kill(coordinator, SIGCONT);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Metrics(job.folder()).size(), 4);
}

}  // namespace
}  // namespace rein::system_test
