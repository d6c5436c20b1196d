#include "cli/run/child_processes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/file.h"
#include "cli/run_files.h"
#include "cli/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

// Exits as they come, for one child at a time.
struct Exits {
  void Add(pid_t pid, int wait_status) {
    absl::MutexLock lock(&mutex);
    seen[pid] = wait_status;
  }
  // Wait status of the child; -1 after half a minute.
  int Await(pid_t pid) {
    absl::MutexLock lock(&mutex);
    const auto gone = [this, pid] { return seen.count(pid) > 0; };
    return mutex.AwaitWithTimeout(absl::Condition(&gone), absl::Seconds(30)) ? seen[pid] : -1;
  }
  absl::Mutex mutex;
  std::map<pid_t, int> seen;
};

class ChildProcessesTest : public testing::Test {
 protected:
  ChildProcessesTest() {
    auto made = ChildProcesses::Create([this](pid_t pid, int status) { exits_.Add(pid, status); });
    EXPECT_TRUE(made.ok()) << made.status();
    children_ = *std::move(made);
  }
  ChildCommand Shell(const std::string& script) const {
    return {.program = "/bin/sh", .arguments = {"-c", script}, .log = folder_.path() / "log"};
  }
  std::string Log() const { return ReadFile(folder_.path() / "log").value_or(""); }

  TestFolder folder_;
  Exits exits_;
  std::unique_ptr<ChildProcesses> children_;
};

bool Gone(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

TEST_F(ChildProcessesTest, TellsHowAChildEnded) {
  const pid_t pid = *children_->Start(Shell("echo out; echo err >&2; exit 7"));
  const int status = exits_.Await(pid);
  EXPECT_EQ(DescribeExit(status), "exit status 7");
  EXPECT_FALSE(children_->Running(pid));
  EXPECT_EQ(children_->ExitStatus(pid), status);
  EXPECT_EQ(Log(), "out\nerr\n");
}

TEST_F(ChildProcessesTest, SeesAKilledChildAtOnce) {
  const pid_t pid = *children_->Start(Shell("exec sleep 600"));
  EXPECT_TRUE(children_->Running(pid));
  kill(pid, SIGKILL);
  EXPECT_EQ(DescribeExit(exits_.Await(pid)), "killed by signal 9 (Killed)");
  EXPECT_FALSE(children_->Running(pid));
}

TEST_F(ChildProcessesTest, StopsWithSigtermFirst) {
  const std::string ready = (folder_.path() / "ready").string();
  const pid_t pid = *children_->Start(Shell(
      absl::StrCat("trap 'echo asked; exit 0' TERM; touch ", ready, "; while :; do sleep 600 & wait; done")));
  ASSERT_TRUE(WaitForFile(folder_.path(), "ready"));
  children_->Stop(pid, absl::Seconds(30));
  EXPECT_EQ(children_->ExitStatus(pid), 0);
  EXPECT_EQ(Log(), "asked\n");
}

TEST_F(ChildProcessesTest, KillsTheWholeGroupAfterTheGrace) {
  const std::string file = (folder_.path() / "grandchild").string();
  const pid_t pid = *children_->Start(Shell(absl::StrCat("trap '' TERM; sleep 600 & echo $! > ", file,
                                                         ".new; mv ", file, ".new ", file, "; wait")));
  ASSERT_TRUE(WaitForFile(folder_.path(), "grandchild"));
  int grandchild = 0;
  ASSERT_TRUE(absl::SimpleAtoi(*ReadLine(file), &grandchild));
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, grandchild, 0));
  children_->Stop(pid, absl::Milliseconds(10));
  EXPECT_EQ(DescribeExit(children_->ExitStatus(pid).value_or(0)), "killed by signal 9 (Killed)");
  pollfd waiting{pidfd, POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 30000), 1);
  close(pidfd);
}

TEST_F(ChildProcessesTest, KillsWhatAChildLeavesBehind) {
  const std::string file = (folder_.path() / "grandchild").string();
  const pid_t pid = *children_->Start(Shell(absl::StrCat("sleep 600 & echo $! > ", file)));
  EXPECT_EQ(exits_.Await(pid), 0);
  int grandchild = 0;
  ASSERT_TRUE(absl::SimpleAtoi(*ReadLine(file), &grandchild));
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, grandchild, 0));
  if (pidfd < 0) return;  // gone and reaped already
  pollfd waiting{pidfd, POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 30000), 1);
  close(pidfd);
}

TEST_F(ChildProcessesTest, GivesTheLifelineAndNothingElse) {
  const int open_here = open("/dev/null", O_RDONLY);  // not even close-on-exec
  const pid_t pid = *children_->Start(Shell("ls /proc/self/fd | tr '\\n' ' '"));
  exits_.Await(pid);
  // 0 to 3, and the folder that ls itself reads.
  EXPECT_EQ(Log(), "0 1 2 3 4 ");
  close(open_here);
}

TEST_F(ChildProcessesTest, ClosesTheLifelineWhenTheSupervisorIsGone) {
  // cat reads the lifeline until its end: the end of a supervisor that had no time to end anything.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    auto own = ChildProcesses::Create([](pid_t, int) {});
    const pid_t child = *(*own)->Start(Shell("cat <&3 >/dev/null; echo ended"));
    (void)!write(ends[1], &child, sizeof(child));
    pause();
  }
  pid_t child = 0;
  ASSERT_EQ(read(ends[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  ASSERT_GE(pidfd, 0);
  EXPECT_FALSE(Gone(child));
  kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  pollfd waiting{pidfd, POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 30000), 1);
  EXPECT_THAT(Log(), HasSubstr("ended"));
  for (const int fd : {pidfd, ends[0], ends[1]}) close(fd);
}

TEST_F(ChildProcessesTest, PassesTheEnvironment) {
  ChildCommand command = Shell("echo $REIN_TEST_WORD $HOME");
  command.environment = {{"REIN_TEST_WORD", "word"}, {"HOME", "/nowhere"}};
  exits_.Await(*children_->Start(command));
  EXPECT_EQ(Log(), "word /nowhere\n");
}

TEST_F(ChildProcessesTest, NamesAProgramThatCannotBeStarted) {
  ChildCommand command = Shell("");
  command.program = "/nowhere/rein-actor";
  const auto started = children_->Start(command);
  EXPECT_TRUE(absl::IsNotFound(started.status())) << started.status();
  EXPECT_THAT(std::string(started.status().message()), HasSubstr("/nowhere/rein-actor"));
}

TEST_F(ChildProcessesTest, StartsNothingOnceAllAreEnded) {
  const pid_t first = *children_->Start(Shell("exec sleep 600"));
  const pid_t second = *children_->Start(Shell("trap '' TERM; exec sleep 600"));
  children_->EndAll(absl::Milliseconds(10));
  EXPECT_FALSE(children_->Running(first));
  EXPECT_FALSE(children_->Running(second));
  EXPECT_TRUE(absl::IsUnavailable(children_->Start(Shell("exit 0")).status()));
}

}  // namespace
}  // namespace rein::cli
