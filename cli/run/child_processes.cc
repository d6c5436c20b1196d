#include "cli/run/child_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/run/spawn.h"

namespace rein::cli {
namespace {

// How long the kernel may take to end a process after SIGKILL, e.g. one that waits for a disk.
constexpr absl::Duration kKillTime = absl::Seconds(10);

absl::Status Watch(int epoll, int fd, uint64_t data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = data;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return absl::OkStatus();
  return SystemError(errno, "cannot watch", "a child process");
}

void Close(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcesses>> ChildProcesses::Create(OnExit on_exit) {
  std::unique_ptr<ChildProcesses> processes(new ChildProcesses(std::move(on_exit)));
  REIN_RETURN_IF_ERROR(processes->Open());
  processes->reaper_ = std::thread([p = processes.get()] { p->ReapLoop(); });
  return processes;
}

absl::Status ChildProcesses::Open() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError(errno, "cannot open", "the lifeline pipe");
  lifeline_write_ = ends[1];
  // Above the descriptors that a child's own take.
  lifeline_read_ = fcntl(ends[0], F_DUPFD_CLOEXEC, 10);
  close(ends[0]);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC);
  if (lifeline_read_ < 0 || epoll_ < 0 || wake_ < 0) return SystemError(errno, "cannot open", "descriptors");
  return Watch(epoll_, wake_, 0);
}

ChildProcesses::~ChildProcesses() {
  if (reaper_.joinable()) {
    EndAll(absl::ZeroDuration());
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
    reaper_.join();
  }
  for (int* fd : {&lifeline_read_, &lifeline_write_, &epoll_, &wake_}) Close(*fd);
}

absl::StatusOr<pid_t> ChildProcesses::Start(const ChildCommand& command) {
  // Under the lock, so that the reaper cannot meet a child that is not in the map yet.
  absl::MutexLock lock(&mutex_);
  if (ending_) return absl::UnavailableError("the run is ending; nothing is started any more");
  REIN_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command, lifeline_read_));
  Child child;
  child.pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  absl::Status status = child.pidfd < 0 ? SystemError(errno, "cannot watch", command.program)
                                        : Watch(epoll_, child.pidfd, static_cast<uint64_t>(pid));
  if (!status.ok()) {
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    Close(child.pidfd);
    return status;
  }
  children_[pid] = child;
  return pid;
}

bool ChildProcesses::Running(pid_t pid) const {
  absl::MutexLock lock(&mutex_);
  const auto found = children_.find(pid);
  return found != children_.end() && found->second.running;
}

std::optional<int> ChildProcesses::ExitStatus(pid_t pid) const {
  absl::MutexLock lock(&mutex_);
  const auto found = children_.find(pid);
  if (found == children_.end() || found->second.running) return std::nullopt;
  return found->second.wait_status;
}

void ChildProcesses::Stop(pid_t pid, absl::Duration grace) {
  absl::MutexLock lock(&mutex_);
  const auto found = children_.find(pid);
  if (found == children_.end() || !found->second.running) return;
  const auto gone = [child = &found->second] { return !child->running; };
  kill(-pid, SIGTERM);
  if (mutex_.AwaitWithTimeout(absl::Condition(&gone), grace)) return;
  kill(-pid, SIGKILL);
  mutex_.AwaitWithTimeout(absl::Condition(&gone), kKillTime);
}

void ChildProcesses::EndAll(absl::Duration grace) {
  absl::MutexLock lock(&mutex_);
  ending_ = true;
  SignalAll(SIGTERM);
  if (mutex_.AwaitWithTimeout(absl::Condition(this, &ChildProcesses::NoneRuns), grace)) return;
  SignalAll(SIGKILL);
  mutex_.AwaitWithTimeout(absl::Condition(this, &ChildProcesses::NoneRuns), kKillTime);
}

void ChildProcesses::SignalAll(int signal_number) {
  for (const auto& [pid, child] : children_) {
    if (child.running) kill(-pid, signal_number);
  }
}

bool ChildProcesses::NoneRuns() const {
  for (const auto& [pid, child] : children_) {
    if (child.running) return false;
  }
  return true;
}

void ChildProcesses::ReapLoop() {
  epoll_event event;
  while (true) {
    const int ready = epoll_wait(epoll_, &event, 1, -1);
    if (ready < 0 && errno != EINTR) return;
    if (ready <= 0) continue;
    if (event.data.u64 == 0) return;
    Reap(static_cast<pid_t>(event.data.u64));
  }
}

void ChildProcesses::Reap(pid_t pid) {
  int wait_status = 0;
  {
    absl::MutexLock lock(&mutex_);
    Child& child = children_[pid];
    // Before waitpid: as long as the leader is not reaped, no other group can get this id.
    kill(-pid, SIGKILL);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    epoll_ctl(epoll_, EPOLL_CTL_DEL, child.pidfd, nullptr);
    Close(child.pidfd);
    child.running = false;
    child.wait_status = wait_status;
  }
  on_exit_(pid, wait_status);
}

std::string DescribeExit(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exit status ", WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  return absl::StrCat("killed by signal ", number, " (", strsignal(number), ")");
}

}  // namespace rein::cli
