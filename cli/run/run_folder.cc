#include "cli/run/run_folder.h"

#include <cctype>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/run/resume_rules.h"
#include "transport/job_file.h"
#include "transport/token.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

absl::Status Refuse(const fs::path& run_dir, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(run_dir.string(), " ", why));
}

bool HoldsRun(const fs::path& run_dir) { return fs::exists(run_dir / "job.yaml"); }

// True for what an earlier start may have left before it wrote job.yaml.
bool IsFreshFolder(const fs::path& run_dir) {
  std::error_code error;
  for (fs::directory_iterator it(run_dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name != "supervisor.lock" && name != "token" && name != "job_id" && name != "logs") return false;
  }
  return true;
}

absl::Status CheckNewFolder(const fs::path& run_dir) {
  if (!HoldsRun(run_dir)) {
    return IsFreshFolder(run_dir)
               ? absl::OkStatus()
               : Refuse(run_dir, "is not empty and holds no run; name another folder with --run-dir");
  }
  const absl::StatusOr<Outcome> outcome = ReadOutcome(run_dir);
  if (outcome.ok() && outcome->state == "finished") {
    return Refuse(run_dir,
                  "holds a finished run; name another folder with --run-dir, or raise steps and --resume it");
  }
  return Refuse(run_dir, "holds a run that has not finished; go on with it by adding --resume");
}

absl::StatusOr<v1::Job> JobToResume(const RunRequest& request, const fs::path& run_dir) {
  const fs::path stored_file = run_dir / "job.yaml";
  if (!HoldsRun(run_dir)) {
    return absl::NotFoundError(
        absl::StrCat("no run to resume in ", run_dir.string(), "; leave out --resume to start one"));
  }
  REIN_ASSIGN_OR_RETURN(const v1::Job stored, transport::ReadJob(stored_file, {}));
  const fs::path asked_file = request.job_file.empty() ? stored_file : fs::path(request.job_file);
  REIN_ASSIGN_OR_RETURN(const v1::Job asked, transport::ReadJob(asked_file, request.overrides));
  return ResumedJob(stored, asked);
}

std::string DrawJobId(const v1::Job& job, absl::Time now) {
  std::random_device device;
  return absl::StrFormat("%s-%s-%08x", job.name(), absl::FormatTime("%Y%m%d%H%M%S", now, absl::UTCTimeZone()),
                         device());
}

absl::Status WriteFiles(RunFolder& folder, absl::Time now) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder.path / "logs"));
  REIN_ASSIGN_OR_RETURN(folder.token, transport::MakeToken(folder.path / "token"));
  if (!fs::exists(folder.path / "job_id")) {
    REIN_RETURN_IF_ERROR(
        WriteFileAtomically(folder.path / "job_id", absl::StrCat(DrawJobId(folder.job, now), "\n")));
  }
  return WriteFileAtomically(folder.path / "job.yaml", transport::ToYaml(folder.job));
}

absl::Status RemoveOld(const fs::path& run_dir) {
  for (const char* name : {"outcome.json", "coordinator.address", "launcher.address"}) {
    std::error_code error;
    fs::remove(run_dir / name, error);
    if (error) return SystemError(error.value(), "cannot remove", run_dir / name);
  }
  return absl::OkStatus();
}

absl::Status Resume(const RunRequest& request, RunFolder& folder) {
  REIN_ASSIGN_OR_RETURN(folder.job, JobToResume(request, folder.path));
  const absl::StatusOr<Outcome> outcome = ReadOutcome(folder.path);
  folder.finished = outcome.ok() && outcome->state == "finished" && outcome->step >= folder.job.steps();
  return absl::OkStatus();
}

}  // namespace

fs::path DefaultRunDir(const std::string& job_name, absl::Time now) {
  std::string name = job_name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') c = '-';
  }
  if (name[0] == '.') name[0] = '-';
  return fs::path("runs") /
         absl::StrCat(name, "-", absl::FormatTime("%Y%m%d-%H%M%S", now, absl::LocalTimeZone()));
}

absl::StatusOr<RunFolder> PrepareRunFolder(const RunRequest& request, absl::Time now) {
  RunFolder folder;
  if (!request.resume) {
    REIN_ASSIGN_OR_RETURN(folder.job, transport::ReadJob(request.job_file, request.overrides));
  }
  const fs::path chosen =
      request.run_dir.empty() ? DefaultRunDir(folder.job.name(), now) : fs::path(request.run_dir);
  folder.path = fs::absolute(chosen).lexically_normal();
  if (!folder.path.has_filename()) folder.path = folder.path.parent_path();
  if (request.resume && !HoldsRun(folder.path)) return JobToResume(request, folder.path).status();
  if (!request.resume && !RunLock::Holder(folder.path).has_value()) {
    REIN_RETURN_IF_ERROR(CheckNewFolder(folder.path));
  }
  REIN_RETURN_IF_ERROR(MakeFolder(folder.path));
  REIN_ASSIGN_OR_RETURN(folder.lock, RunLock::Take(folder.path));
  if (request.resume) REIN_RETURN_IF_ERROR(Resume(request, folder));
  if (folder.finished) return folder;
  REIN_RETURN_IF_ERROR(RemoveOld(folder.path));
  REIN_RETURN_IF_ERROR(WriteFiles(folder, now));
  return folder;
}

}  // namespace rein::cli
