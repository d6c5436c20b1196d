#include "actors/host/train_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "actors/host/fake_coordinator.h"

namespace rein::host {
namespace {

v1::TrainHeader Header(const std::string& request_id) {
  v1::TrainHeader header;
  *header.mutable_fence() = TestFence(request_id);
  header.mutable_version()->set_number(1);
  return header;
}

class Steps : public testing::Test {
 protected:
  absl::Status Run(const std::string& id, const TrainSteps::StepFn& step, v1::TrainResult* result = nullptr) {
    return steps_.Run(Header(id), step, [&](const v1::TrainProgress& progress) {
      if (result != nullptr && progress.has_result()) *result = progress.result();
      return true;
    });
  }
  Host host_{HostOptions{.job_id = kJobId, .incarnation = kIncarnation}};
  TrainSteps steps_{&host_};
};

TEST_F(Steps, RunOnceAndAnswerARepetitionFromMemory) {
  int runs = 0;
  const auto step = [&](const training::ProgressFn&) -> absl::StatusOr<training::Metrics> {
    return training::Metrics{{"loss", ++runs}};
  };
  for (int i = 0; i < 3; ++i) {
    v1::TrainResult result;
    ASSERT_EQ(Run("a", step, &result), absl::OkStatus());
    ASSERT_EQ(result.metrics_size(), 1);
    EXPECT_EQ(result.metrics(0).value(), 1);
    EXPECT_EQ(result.version().number(), 1);
  }
  EXPECT_EQ(runs, 1);
}

TEST_F(Steps, ARepetitionAttachesToTheStepThatRuns) {
  std::atomic<int> runs = 0;
  absl::Notification inside, go_on;
  const auto step = [&](const training::ProgressFn& progress) -> absl::StatusOr<training::Metrics> {
    ++runs;
    progress(1, 2);
    inside.Notify();
    go_on.WaitForNotification();
    return training::Metrics{};
  };
  absl::Notification first_is_gone;
  std::thread first([&] {
    // The first caller hangs up at its first progress message.
    const absl::Status status = steps_.Run(Header("a"), step, [](const v1::TrainProgress&) { return false; });
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    first_is_gone.Notify();
  });
  inside.WaitForNotification();
  first_is_gone.WaitForNotification();
  int seen_done = 0;
  bool finished = false;
  const absl::Status status = steps_.Run(Header("a"), step, [&](const v1::TrainProgress& progress) {
    seen_done = progress.done();
    EXPECT_EQ(progress.total(), 2);
    finished = progress.has_result();
    if (!go_on.HasBeenNotified()) go_on.Notify();
    return true;
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(seen_done, 1);
  EXPECT_TRUE(finished);
  EXPECT_EQ(runs, 1);
  first.join();
}

TEST_F(Steps, AFailedStepMayBeTriedAgain) {
  int runs = 0;
  const auto step = [&](const training::ProgressFn&) -> absl::StatusOr<training::Metrics> {
    if (++runs == 1) return absl::DataLossError("loss is nan; sample 'p/0'");
    if (runs == 2) throw std::runtime_error("broke");
    return training::Metrics{};
  };
  const absl::Status status = Run("a", step);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("p/0"));
  EXPECT_EQ(Run("a", step).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Run("a", step), absl::OkStatus());
}

TEST_F(Steps, ForgetTheOldestResultsOnly) {
  int runs = 0;
  const auto step = [&](const training::ProgressFn&) -> absl::StatusOr<training::Metrics> {
    return training::Metrics{{"loss", ++runs}};
  };
  for (int i = 0; i < 17; ++i) ASSERT_EQ(Run(std::to_string(i), step), absl::OkStatus());
  ASSERT_EQ(Run("16", step), absl::OkStatus());
  EXPECT_EQ(runs, 17);
  ASSERT_EQ(Run("0", step), absl::OkStatus());
  EXPECT_EQ(runs, 18);
  steps_.Clear();
  ASSERT_EQ(Run("16", step), absl::OkStatus());
  EXPECT_EQ(runs, 19);
}

TEST_F(Steps, NeedARequestId) {
  EXPECT_EQ(Run("", [](const training::ProgressFn&) { return training::Metrics{}; }).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace rein::host
