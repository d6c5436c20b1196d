#include "cli/run/memory_check.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Arguments(const fs::path& program, const RunRequest& request) {
  // What a resumed run needs is decided by its own job.
  const std::string file =
      request.resume ? (fs::path(request.run_dir) / "job.yaml").string() : request.job_file;
  std::vector<std::string> arguments = {program.string(), "plan", file, "--json"};
  for (const std::string& override : request.overrides) {
    if (request.resume) break;
    arguments.insert(arguments.end(), {"--set", override});
  }
  return arguments;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[1 << 14];
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<size_t>(count));
  }
}

// What the program writes on standard output; nothing where it could not be started.
std::optional<std::string> OutputOf(std::vector<std::string> arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const auto close_read = absl::MakeCleanup([&ends] { close(ends[0]); });
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed != 0) return std::nullopt;
  std::string text = ReadAll(ends[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return text;
}

}  // namespace

absl::Status CheckMemory(const fs::path& programs, const RunRequest& request) {
  const std::optional<std::string> output = OutputOf(Arguments(programs / "rein-models", request));
  const nlohmann::json plan = nlohmann::json::parse(output.value_or(""), nullptr, /*allow_exceptions=*/false);
  if (!plan.is_object() || plan.value("fits", nlohmann::json()) != false) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(plan.value("message", std::string("the job does not fit")),
                   ". `rein plan` shows what needs how much; --skip-memory-check starts it nevertheless"));
}

}  // namespace rein::cli
