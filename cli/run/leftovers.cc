#include "cli/run/leftovers.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kKillTime = absl::Seconds(10);

// Files of /proc tell size 0, so that ReadFile would see nothing.
std::vector<std::string> ArgumentsOf(const fs::path& process) {
  std::ifstream file(process / "cmdline");
  std::stringstream text;
  text << file.rdbuf();
  return absl::StrSplit(text.str(), '\0');
}

bool BelongsTo(const fs::path& process, const fs::path& programs, const fs::path& run_dir) {
  const std::vector<std::string> words = ArgumentsOf(process);
  if (fs::path(words[0]).parent_path() != programs) return false;
  const auto flag = std::find(words.begin(), words.end(), "--run-dir");
  return flag != words.end() && flag + 1 != words.end() && *(flag + 1) == run_dir.string();
}

bool WaitUntilGone(pid_t pid, absl::Time deadline) {
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return true;
  pollfd waiting{pidfd, POLLIN, 0};
  const absl::Duration left = std::max(absl::ZeroDuration(), deadline - absl::Now());
  const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(left)));
  close(pidfd);
  return ready > 0;
}

}  // namespace

std::vector<pid_t> FindProcesses(const fs::path& programs, const fs::path& run_dir) {
  std::vector<pid_t> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid) || pid == getpid()) continue;
    if (BelongsTo(it->path(), programs, run_dir)) found.push_back(pid);
  }
  return found;
}

void EndLeftovers(const fs::path& programs, const fs::path& run_dir, absl::Duration grace) {
  const absl::Time deadline = absl::Now() + grace;
  for (const pid_t pid : FindProcesses(programs, run_dir)) {
    if (WaitUntilGone(pid, deadline)) continue;
    kill(pid, SIGKILL);
    WaitUntilGone(pid, absl::Now() + kKillTime);
  }
}

}  // namespace rein::cli
