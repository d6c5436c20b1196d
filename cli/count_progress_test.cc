#include "cli/count_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace rein::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CountProgressLine, TellsThePaceOfWhatIsNew) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  CountProgressLine line(out, true, "answered", "questions", 80, [&now] { return now; });
  now += absl::Seconds(20);
  line.Show(90, 100);
  EXPECT_THAT(out.str(), HasSubstr("\ranswered 90 of 100 questions, 30 a minute, 20 s left\x1b[K"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\n")));
  line.Show(100, 100);
  EXPECT_THAT(out.str(), HasSubstr("answered 100 of 100 questions\x1b[K\n"));
}

TEST(CountProgressLine, IsAboutTenLinesWithoutATerminal) {
  std::ostringstream out;
  CountProgressLine line(out, false, "judged", "pairs");
  for (int done = 1; done <= 1000; ++done) line.Show(done, 1000);
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("judged 1000 of 1000 pairs\n"));
}

TEST(CountProgressLine, SaysThatThereIsNothing) {
  std::ostringstream out;
  CountProgressLine(out, false, "judged", "answers").Show(0, 0);
  EXPECT_EQ(out.str(), "judged 0 of 0 answers\n");
}

}  // namespace
}  // namespace rein::cli
