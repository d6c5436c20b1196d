// Random processes killed at random moments, several times a job: the job still comes to what it would have
// come to. REIN_CHAOS_JOBS sets how many jobs, REIN_CHAOS_SEED repeats a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "tests/system/outcome.h"

namespace rein::system_test {
namespace {

constexpr int kSteps = 8;
constexpr uint64_t kMostMessages = 60;  // an undisturbed job of this size sends some 150

struct Victim {
  std::string role;
  std::string name;
};
const Victim kVictims[] = {{"coordinator", ""},  {"supervisor", ""},   {"policy", "policy"},
                           {"critic", "cost"},   {"critic", "reward"}, {"rollout", "rollout"},
                           {"reward", "reward"}, {"cost", "cost"},     {"reference", "reference"}};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

std::vector<std::string> Settings() {
  return {"deterministic=true", absl::StrCat("steps=", kSteps), "limits.max_restarts=20"};
}

const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    Job job("chaos_undisturbed", Settings());
    EXPECT_EQ(job.Wait(), 0) << job.Output();
    return OutcomeOf(job, kSteps);
  }();
  return outcome;
}

void KillSupervisorAndResume(Job& job) {
  const std::vector<pid_t> family = ProcessesWithArgument(job.folder().string());
  job.process().Signal(SIGKILL);
  job.Wait();
  for (const pid_t pid : family) EXPECT_TRUE(WaitUntilGone(pid, absl::Seconds(20))) << pid;
  job.Resume();
}

// Kills somebody after a random number of status messages. Says whom and when; empty when the job has ended.
std::string KillSomebody(Job& job, CounterRandom& random) {
  const Victim& victim = kVictims[random.Below(std::size(kVictims))];
  const uint64_t moment = 1 + random.Below(kMostMessages);
  uint64_t messages = 0;
  v1::JobStatus status;
  if (!job.WaitFor([&](const v1::JobStatus&) { return ++messages >= moment; }, &status)) return "";
  if (victim.role == "supervisor") {
    KillSupervisorAndResume(job);
  } else {
    const pid_t pid =
        victim.role == "coordinator" ? job.CoordinatorPid() : Job::PidOf(status, victim.role, victim.name);
    if (pid > 0) kill(pid, SIGKILL);
  }
  return absl::StrCat(victim.role, " ", victim.name, " after ", moment, " messages, in step ",
                      status.step() + 1, " ", v1::JobPhase_Name(status.phase()), "; ");
}

TEST(Chaos, ChangesNothing) {
  const uint64_t seed = FromEnvironment("REIN_CHAOS_SEED", std::random_device()());
  const uint64_t jobs = FromEnvironment("REIN_CHAOS_JOBS", 3);
  printf("REIN_CHAOS_SEED=%lu\n", seed);
  for (uint64_t i = 0; i < jobs; ++i) {
    CounterRandom random(seed + i);
    Job job(absl::StrCat("chaos_", seed, "_", i), Settings());
    std::string kills;
    const uint64_t times = 2 + random.Below(2);
    for (uint64_t k = 0; k < times; ++k) kills += KillSomebody(job, random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", job ", i, ", i.e. REIN_CHAOS_SEED=", seed + i, ": ", kills));
    printf("job %lu: %s\n", i, kills.c_str());
    fflush(stdout);
    ASSERT_EQ(job.Wait(), 0) << job.Output();
    ExpectUndisturbed(job, kSteps, Undisturbed());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace rein::system_test
