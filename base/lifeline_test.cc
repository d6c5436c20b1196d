#include "base/lifeline.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rein {
namespace {

TEST(Lifeline, EndsTheProcessWhenTheOtherEndIsClosed) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    FollowLifeline(ends[0]);
    pause();
    _exit(0);
  }
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, WNOHANG), 0);
  close(ends[1]);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

}  // namespace
}  // namespace rein
