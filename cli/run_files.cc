#include "cli/run_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kLockFile[] = "supervisor.lock";

pid_t PidIn(const fs::path& lock_file) {
  int pid = 0;
  const absl::StatusOr<std::string> line = ReadLine(lock_file);
  return line.ok() && absl::SimpleAtoi(*line, &pid) ? pid : 0;
}

absl::Status WritePid(int fd, const fs::path& path) {
  const std::string line = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    return SystemError(errno, "cannot write", path);
  }
  return absl::OkStatus();
}

// "step-12" -> 12; 0 for anything else, unfinished "step-12.partial" included.
int64_t StepOf(const std::string& folder_name) {
  absl::string_view number = folder_name;
  int64_t step = 0;
  return absl::ConsumePrefix(&number, "step-") && absl::SimpleAtoi(number, &step) ? step : 0;
}

}  // namespace

absl::StatusOr<Outcome> ReadOutcome(const fs::path& run_dir) {
  const fs::path file = run_dir / "outcome.json";
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 1 << 20));
  const Json json = Json::parse(text, nullptr, false);
  const auto bad = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), " is not an outcome: ", what));
  };
  if (!json.is_object()) return bad("no JSON object");
  if (!json.contains("state") || !json["state"].is_string()) return bad("no 'state'");
  if (!json.contains("step") || !json["step"].is_number_integer()) return bad("no 'step'");
  Outcome outcome{json["state"], json["step"], ""};
  if (json.contains("error") && json["error"].is_string()) outcome.error = json["error"];
  if (outcome.state != "finished" && outcome.state != "stopped" && outcome.state != "failed") {
    return bad("state is none of finished, stopped, failed");
  }
  return outcome;
}

int64_t CommittedStep(const fs::path& run_dir) {
  int64_t newest = 0;
  std::error_code error;
  for (fs::directory_iterator it(run_dir / "checkpoints", error), end; !error && it != end;
       it.increment(error)) {
    newest = std::max(newest, StepOf(it->path().filename()));
  }
  return newest;
}

std::optional<Json> LastMetrics(const fs::path& run_dir) {
  const absl::StatusOr<std::string> text = ReadFile(run_dir / "metrics.jsonl");
  if (!text.ok()) return std::nullopt;
  const std::vector<absl::string_view> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    Json json = Json::parse(line->begin(), line->end(), nullptr, false);
    if (json.is_object()) return json;
  }
  return std::nullopt;
}

std::string LastLogLine(const fs::path& log) {
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - 4096));
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!absl::StripAsciiWhitespace(line).empty()) last = line;
  }
  return last;
}

absl::StatusOr<std::string> ReadLine(const fs::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 4096));
  return std::string(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

absl::StatusOr<RunLock> RunLock::Take(const fs::path& run_dir) {
  const fs::path path = run_dir / kLockFile;
  RunLock lock;
  lock.fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock.fd_ < 0) return SystemError(errno, "cannot open", path);
  if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError(errno, "cannot lock", path);
    return absl::FailedPreconditionError(absl::StrCat("a run is going on in ", run_dir.string(), " (process ",
                                                      PidIn(path), "); watch it with: rein status --run-dir ",
                                                      run_dir.string(), " --watch; end it with: rein stop"));
  }
  REIN_RETURN_IF_ERROR(WritePid(lock.fd_, path));
  return lock;
}

std::optional<pid_t> RunLock::Holder(const fs::path& run_dir) {
  const fs::path path = run_dir / kLockFile;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  // Shared, so that two who ask do not see each other.
  if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return std::nullopt;
  return PidIn(path);
}

absl::StatusOr<fs::path> FindLiveRun(const fs::path& runs) {
  fs::path newest;
  fs::file_time_type newest_time;
  std::error_code error;
  for (fs::directory_iterator it(runs, error), end; !error && it != end; it.increment(error)) {
    if (!RunLock::Holder(it->path()).has_value()) continue;
    const fs::file_time_type time = fs::last_write_time(it->path() / kLockFile, error);
    if (!newest.empty() && time <= newest_time) continue;
    newest = it->path();
    newest_time = time;
  }
  if (!newest.empty()) return fs::absolute(newest);
  return absl::NotFoundError(absl::StrCat("no run is going on in ", fs::absolute(runs).string(),
                                          "; name its folder with --run-dir, or start one with: rein run"));
}

}  // namespace rein::cli
