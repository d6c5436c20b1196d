#include "cli/pace.h"

#include <gtest/gtest.h>

namespace rein::cli {
namespace {

TEST(FormatPace, TakesTheSmallestUnitThatHasOne) {
  EXPECT_EQ(FormatPace(1234), "1234 a second");
  EXPECT_EQ(FormatPace(9.96), "10 a second");
  EXPECT_EQ(FormatPace(5.24), "5.2 a second");
  EXPECT_EQ(FormatPace(1), "1.0 a second");
  EXPECT_EQ(FormatPace(0.2), "12 a minute");
  EXPECT_EQ(FormatPace(0.001), "3.6 an hour");
  EXPECT_EQ(FormatPace(0), "0.0 an hour");
}

TEST(Pace, CountsWhatIsNewSinceItBegan) {
  absl::Time now = absl::UnixEpoch();
  const Pace pace(80, [&now] { return now; });
  EXPECT_EQ(pace.Text(80, 100), "");
  EXPECT_EQ(pace.Text(81, 100), "") << "no time has passed";
  now += absl::Seconds(20);
  EXPECT_EQ(pace.Text(80, 100), "");
  EXPECT_EQ(pace.Text(90, 100), "30 a minute, 20 s left");
  EXPECT_EQ(pace.Text(99, 100), "57 a minute, 2 s left");
  EXPECT_EQ(pace.Text(100, 100), "");
  EXPECT_EQ(pace.Text(3, 0), "");
}

}  // namespace
}  // namespace rein::cli
