#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/reproduce/stages.h"
#include "cli/run/child_processes.h"
#include "cli/run_files.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kCannotRun = 127;

// In the child. It shares the terminal's signals with this process and ends with it.
[[noreturn]] void BecomeCommand(pid_t parent, const char* program, char* const* argv, int log) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kCannotRun);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(program, argv);
  _exit(kCannotRun);
}

// The command's status as from waitpid.
absl::StatusOr<int> RunCommand(const fs::path& program, std::vector<std::string> arguments,
                               const fs::path& log) {
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(errno, "cannot write", log);
  std::string name = program.string();
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child == 0) BecomeCommand(parent, program.c_str(), argv.data(), fd);
  const int error = errno;
  close(fd);
  if (child < 0) return SystemError(error, "cannot start", program);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

absl::Status RunStage(const fs::path& rein, const fs::path& folder, const Stage& stage) {
  const fs::path log = folder / "logs" / absl::StrCat(stage.name, ".log");
  std::vector<std::string> arguments = stage.arguments;
  if (!stage.begun.empty() && fs::exists(stage.begun)) arguments.push_back(stage.resume_flag);
  REIN_ASSIGN_OR_RETURN(const int status, RunCommand(rein, std::move(arguments), log));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("stage ", stage.name, " ended with ", DescribeExit(status), ": ",
                                             LastLogLine(log), "; the whole log is ", log.string(),
                                             "; the same command goes on from here"));
}

}  // namespace

absl::Status RunStages(const fs::path& rein, const fs::path& folder, const std::vector<Stage>& stages,
                       absl::FunctionRef<void(const StageProgress&)> progress) {
  for (const char* part : {"logs", ".stages", "answers", "models"}) {
    REIN_RETURN_IF_ERROR(MakeFolder(folder / part));
  }
  for (const auto& [name, text] : JobTexts()) {
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, text));
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages[i];
    const fs::path stamp = folder / ".stages" / stage.name;
    const std::string command = absl::StrJoin(stage.arguments, "\n");
    const absl::StatusOr<std::string> done = ReadFile(stamp);
    const bool done_before = done.ok() && *done == command;
    progress({i + 1, stages.size(), &stage, done_before});
    if (done_before) continue;
    REIN_RETURN_IF_ERROR(RunStage(rein, folder, stage));
    REIN_RETURN_IF_ERROR(WriteFileAtomically(stamp, command));
  }
  return absl::OkStatus();
}

}  // namespace rein::cli
