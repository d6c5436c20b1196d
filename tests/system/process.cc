#include "tests/system/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/str_split.h"
#include "base/file.h"

namespace rein::system_test {
namespace {

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

int ExitCode(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// Forks and executes; standard output and error go to the two descriptors.
pid_t Spawn(const std::vector<std::string>& arguments, int out, int err) {
  std::vector<std::string> owned = arguments;
  owned[0] = (std::filesystem::path(REIN_BIN_DIR) / owned[0]).string();
  std::vector<char*> raw;
  for (std::string& argument : owned) raw.push_back(argument.data());
  raw.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(raw[0], raw.data());
  _exit(127);
}

int Create(const std::filesystem::path& path) {
  return open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
}

std::string Contents(const std::filesystem::path& path) { return ReadFile(path).value_or(""); }

}  // namespace

CommandResult RunCommand(const std::vector<std::string>& arguments) {
  char folder[] = "/tmp/rein_command_XXXXXX";
  const std::filesystem::path at = mkdtemp(folder);
  const int out = Create(at / "out"), err = Create(at / "err");
  int status = 0;
  waitpid(Spawn(arguments, out, err), &status, 0);
  close(out);
  close(err);
  CommandResult result{ExitCode(status), Contents(at / "out"), Contents(at / "err")};
  std::filesystem::remove_all(at);
  return result;
}

Background::Background(const std::vector<std::string>& arguments, std::filesystem::path log)
    : log_(std::move(log)) {
  const int file = Create(log_);
  pid_ = Spawn(arguments, file, file);
  close(file);
  pidfd_ = OpenPidfd(pid_);
}

Background::~Background() {
  if (exit_code_ < 0) {
    Signal(SIGKILL);
    Wait(absl::Seconds(10));
  }
  close(pidfd_);
}

void Background::Signal(int signal_number) const { kill(pid_, signal_number); }

int Background::Wait(absl::Duration timeout) {
  if (exit_code_ >= 0) return exit_code_;
  pollfd waiting{pidfd_, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) <= 0) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  exit_code_ = ExitCode(status);
  return exit_code_;
}

std::string Background::Output() const { return Contents(log_); }

bool WaitUntilGone(pid_t pid, absl::Duration timeout) {
  const int pidfd = OpenPidfd(pid);
  if (pidfd < 0) return true;
  pollfd waiting{pidfd, POLLIN, 0};
  const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  close(pidfd);
  return ready > 0;
}

std::vector<pid_t> ProcessesWithArgument(const std::string& argument) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::stringstream text;
    text << file.rdbuf();
    const std::vector<std::string> words = absl::StrSplit(text.str(), '\0');
    if (words[0].rfind(REIN_BIN_DIR, 0) != 0) continue;
    for (const std::string& word : words) {
      if (word == argument) {
        found.push_back(std::stoi(name));
        break;
      }
    }
  }
  return found;
}

}  // namespace rein::system_test
