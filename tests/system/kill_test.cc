// Every kind of process killed in the middle of a step: the job goes on and ends as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "tests/system/outcome.h"

namespace rein::system_test {
namespace {

const std::vector<std::string> kDeterministic = {"deterministic=true", "steps=4"};

const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    Job job("undisturbed", kDeterministic);
    EXPECT_EQ(job.Wait(), 0) << job.Output();
    return OutcomeOf(job, 4);
  }();
  return outcome;
}

struct Victim {
  std::string role;
  std::string name;
};

class Kill : public testing::TestWithParam<Victim> {};

TEST_P(Kill, OfAnActorChangesNothing) {
  Job job(absl::StrCat("kill_", GetParam().role, "_", GetParam().name), kDeterministic);
  v1::JobStatus status;
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 3; }, &status));
  const pid_t victim = Job::PidOf(status, GetParam().role, GetParam().name);
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, 4, Undisturbed());
}

INSTANTIATE_TEST_SUITE_P(EachRole, Kill,
                         testing::Values(Victim{"rollout", ""}, Victim{"reference", ""}, Victim{"reward", ""},
                                         Victim{"cost", ""}, Victim{"critic", "reward"},
                                         Victim{"critic", "cost"}, Victim{"policy", ""}),
                         [](const auto& info) { return info.param.role + info.param.name; });

TEST(KillCoordinator, ResumesByItself) {
  Job job("kill_coordinator", kDeterministic);
  v1::JobStatus before;
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 3; }, &before));
  const pid_t coordinator = job.CoordinatorPid();
  ASSERT_GT(coordinator, 0);
  kill(coordinator, SIGKILL);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, 4, Undisturbed());
}

TEST(KillSupervisor, LeavesNoOrphansAndResumes) {
  Job job("kill_supervisor", kDeterministic);
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 3; }));
  const std::vector<pid_t> family = ProcessesWithArgument(job.folder().string());
  job.process().Signal(SIGKILL);
  job.Wait();
  for (const pid_t pid : family) EXPECT_TRUE(WaitUntilGone(pid, absl::Seconds(10))) << pid;
  job.Resume();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, 4, Undisturbed());
}

}  // namespace
}  // namespace rein::system_test
