// Roles that put their weights away between their stages: the same job, bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "tests/system/outcome.h"

namespace rein::system_test {
namespace {

constexpr int kSteps = 20;

// Heartbeats, which tell what is away, come several times a step.
std::vector<std::string> Settings(bool offload) {
  std::vector<std::string> settings = {"deterministic=true", absl::StrCat("steps=", kSteps),
                                       "checkpoint.every=5", "limits.heartbeat_s=0.05"};
  for (int i = 0; offload && i < 4; ++i) settings.push_back(absl::StrCat("actors.", i, ".offload=true"));
  return settings;
}

int64_t OffloadedBytes(const v1::JobStatus& status, const std::string& role) {
  const v1::ActorStatus* actor = Job::Find(status, role);
  return actor == nullptr ? 0 : actor->offloaded_bytes();
}

TEST(Offload, ChangesNoResultAlsoWhenAnActorIsKilled) {
  Job kept("kept", Settings(false));
  ASSERT_EQ(kept.Wait(), 0) << kept.Output();
  const Outcome undisturbed = OutcomeOf(kept, kSteps);

  Job job("offload", Settings(true));
  v1::JobStatus status;
  ASSERT_TRUE(job.WaitFor(
      [](const v1::JobStatus& s) { return s.step() >= 1 && OffloadedBytes(s, "policy") > 0; }, &status))
      << job.Output();
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return OffloadedBytes(s, "reference") > 0; }));
  kill(Job::PidOf(status, "critic", "cost"), SIGKILL);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, kSteps, undisturbed);
  for (const auto& entry : fs::directory_iterator(job.folder()))
    EXPECT_FALSE(entry.path().filename().string().starts_with("offload-")) << entry.path();
}

}  // namespace
}  // namespace rein::system_test
