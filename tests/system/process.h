// Child processes of the system tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace rein::system_test {

struct CommandResult {
  int exit_code = -1;  // 128 + signal where one ended it
  std::string out;
  std::string err;
};

// Runs a program of build/bin, or one given by its absolute path, to its end.
CommandResult RunCommand(const std::vector<std::string>& arguments);

// A program in the background, its output in a file. Killed (SIGKILL) by the destructor if it still runs.
class Background {
 public:
  Background(const std::vector<std::string>& arguments, std::filesystem::path log);
  ~Background();
  Background(const Background&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal_number) const;
  // Exit code as in CommandResult; -1 when it still runs at the deadline.
  int Wait(absl::Duration timeout);
  std::string Output() const;

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int exit_code_ = -1;
  std::filesystem::path log_;
};

// Waits until the process (any process, not only a child) is gone. False at the deadline.
bool WaitUntilGone(pid_t pid, absl::Duration timeout);

// Processes that run a program of build/bin with `argument` among their arguments.
std::vector<pid_t> ProcessesWithArgument(const std::string& argument);

}  // namespace rein::system_test
