#include "evaluation/retry.h"

#include "evaluation/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::ElementsAre;

TEST(Retry, DelaysDoubleUpToALimitAndVaryByHalf) {
  EXPECT_EQ(RetryDelay(1, 1), absl::Seconds(1));
  EXPECT_EQ(RetryDelay(1, 0), absl::Milliseconds(500));
  EXPECT_EQ(RetryDelay(4, 1), absl::Seconds(8));
  EXPECT_EQ(RetryDelay(7, 1), absl::Minutes(1));
  EXPECT_EQ(RetryDelay(1000, 0), absl::Seconds(30));
}

TEST(Retry, WaitsAtLeastAsLongAsTheServerAsks) {
  EXPECT_EQ(RetryDelay(1, 1, absl::Seconds(90)), absl::Seconds(90));
  EXPECT_EQ(RetryDelay(5, 1, absl::Seconds(2)), absl::Seconds(16));
}

TEST(Retry, ReadsSecondsAndDates) {
  const absl::Time now = absl::FromUnixSeconds(784111777);  // 06 Nov 1994 08:49:37
  EXPECT_EQ(ParseRetryAfter("120", now), absl::Seconds(120));
  EXPECT_EQ(ParseRetryAfter("0", now), absl::ZeroDuration());
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:50:07 GMT", now), absl::Seconds(30));
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:00:00 GMT", now), absl::ZeroDuration());
  for (const char* rubbish : {"", "-1", "soon", "99999999999999999999", "1994-11-06"}) {
    EXPECT_FALSE(ParseRetryAfter(rubbish, now).has_value()) << rubbish;
  }
}

TEST(RateLimit, LetsRequestsBeginAtEvenDistances) {
  FakeClock clock;
  RateLimit limit(120, clock);
  const absl::Time start = clock.Now();
  for (int i = 0; i < 5; ++i) limit.Wait();
  EXPECT_EQ(clock.Now() - start, absl::Seconds(2));
  clock.Sleep(absl::Minutes(1));
  limit.Wait();  // does not catch up
  limit.Wait();
  EXPECT_EQ(clock.slept().back(), absl::Milliseconds(500));
}

TEST(RateLimit, ZeroIsNoLimit) {
  FakeClock clock;
  RateLimit limit(0, clock);
  for (int i = 0; i < 5; ++i) limit.Wait();
  EXPECT_THAT(clock.slept(), ElementsAre());
}

}  // namespace
}  // namespace rein::evaluation
