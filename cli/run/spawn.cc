#include "cli/run/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"

namespace rein::cli {
namespace {

// char* const[] as exec wants it, over strings that live as long as this object.
class StringArray {
 public:
  explicit StringArray(std::vector<std::string> strings) : strings_(std::move(strings)) {
    for (std::string& string : strings_) pointers_.push_back(string.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

StringArray Arguments(const ChildCommand& command) {
  std::vector<std::string> words = {command.program.string()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  return StringArray(std::move(words));
}

StringArray Environment(const ChildCommand& command) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (command.environment.count(text.substr(0, text.find('='))) == 0) entries.push_back(text);
  }
  for (const auto& [name, value] : command.environment) entries.push_back(absl::StrCat(name, "=", value));
  return StringArray(std::move(entries));
}

void SetAttributes(posix_spawnattr_t* attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setpgroup(attributes, 0);
  posix_spawnattr_setflags(attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

void SetDescriptors(posix_spawn_file_actions_t* actions, int log, int lifeline_fd) {
  posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (log >= 0) {
    posix_spawn_file_actions_adddup2(actions, log, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(actions, log, STDERR_FILENO);
  }
  posix_spawn_file_actions_adddup2(actions, lifeline_fd, ChildProcesses::kLifelineFd);
  posix_spawn_file_actions_addclosefrom_np(actions, ChildProcesses::kLifelineFd + 1);
}

// Above the descriptors that the child's own take; -1: none.
absl::StatusOr<int> OpenLog(const std::filesystem::path& path) {
  if (path.empty()) return -1;
  const int low = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (low < 0) return SystemError(errno, "cannot open log", path);
  const int high = fcntl(low, F_DUPFD_CLOEXEC, 10);
  const int error_number = errno;
  close(low);
  if (high < 0) return SystemError(error_number, "cannot open log", path);
  return high;
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const ChildCommand& command, int lifeline_fd) {
  REIN_ASSIGN_OR_RETURN(const int log, OpenLog(command.log));
  const auto close_log = absl::MakeCleanup([log] {
    if (log >= 0) close(log);
  });
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_init(&actions);
  SetAttributes(&attributes);
  SetDescriptors(&actions, log, lifeline_fd);
  pid_t pid = 0;
  const int error_number = posix_spawn(&pid, command.program.c_str(), &actions, &attributes,
                                       Arguments(command).get(), Environment(command).get());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error_number != 0) return SystemError(error_number, "cannot start", command.program);
  return pid;
}

}  // namespace rein::cli
