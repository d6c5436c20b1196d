#include "cli/control/status_text.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/run/progress.h"
#include "cli/run_files.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<std::vector<std::string>>;

std::string Since(int64_t then_ns, int64_t now_ns) {
  return then_ns == 0 ? "-" : FormatWait(absl::Nanoseconds(now_ns - then_ns));
}

std::string PhaseText(const v1::JobStatus& status, const Paint& paint) {
  const std::string word = PhaseWord(status.phase());
  switch (status.phase()) {
    case v1::JOB_FAILED:
      return paint.Red(word);
    case v1::JOB_PAUSED:
    case v1::JOB_RECOVERING:
    case v1::JOB_STOPPING:
      return paint.Yellow(word);
    default:
      return paint.Green(word);
  }
}

std::string JobText(const v1::JobStatus& status, const Paint& paint) {
  Rows rows = {{"job", absl::StrCat(status.name(), " (", status.job_id(), ")")},
               {"phase", PhaseText(status, paint)},
               {"step", absl::StrCat(status.step(), " of ", status.total_steps(), ", committed ",
                                     status.committed_step())},
               {"running for", Since(status.started_ns(), status.now_ns())},
               {"run folder", status.run_dir()}};
  if (!status.error().empty()) rows.push_back({"error", status.error()});
  if (status.actor_restarts() + status.rollbacks() > 0) {
    rows.push_back({"troubles", absl::StrCat(status.actor_restarts(), " restarts of actors, ",
                                             status.rollbacks(), " rollbacks")});
  }
  return FormatTable(rows);
}

std::string WaitsText(const v1::JobStatus& status) {
  Rows rows;
  for (const v1::Wait& wait : status.waiting_for()) {
    const std::string until =
        wait.until_ns() == 0 ? "-" : FormatWait(absl::Nanoseconds(wait.until_ns() - status.now_ns()));
    rows.push_back({wait.what(), Since(wait.since_ns(), status.now_ns()), until});
  }
  if (rows.empty()) return "";
  rows.insert(rows.begin(), {"waits for", "since", "error in"});
  return absl::StrCat("\n", FormatTable(rows));
}

std::string MultipliersText(const v1::JobStatus& status) {
  Rows rows;
  for (const v1::MultiplierStatus& m : status.multipliers()) {
    rows.push_back({m.constraint(), FormatFigure(m.cost_window_mean()), FormatFigure(m.threshold()),
                    absl::StrCat(FormatFigure(m.lambda()), m.held() ? " (held)" : ""),
                    absl::StrCat(FormatRate(m.violation_rate()), " (", FormatRate(m.violation_low()), " - ",
                                 FormatRate(m.violation_high()), ")")});
  }
  if (rows.empty()) return "";
  rows.insert(rows.begin(), {"constraint", "mean", "at most", "lambda", "unsafe samples (95 % interval)"});
  return absl::StrCat("\n", FormatTable(rows));
}

std::string MetricsText(const v1::JobStatus& status) {
  std::string line;
  for (const v1::Metric& metric : status.metrics()) {
    absl::StrAppend(&line, line.empty() ? "" : ", ", metric.name(), " ", FormatFigure(metric.value()));
  }
  return line.empty() ? "" : absl::StrCat("\nlast step: ", line, "\n");
}

std::string ActorName(const v1::ActorAddress& address) {
  const std::string rank = address.world() > 1 ? absl::StrCat(" rank ", address.rank()) : "";
  return absl::StrCat(address.role(), "/", address.name(), "/", address.replica(), rank);
}

std::string MemoryText(const v1::ActorStatus& actor) {
  const std::string resident = absl::StrCat(actor.rss_bytes() >> 20, " MiB");
  if (actor.offloaded_bytes() == 0) return resident;
  return absl::StrCat(resident, ", ", (actor.offloaded_bytes() + (1 << 20) - 1) >> 20, " MiB offloaded");
}

std::string ActorsText(const v1::JobStatus& status) {
  Rows rows;
  for (const v1::ActorStatus& actor : status.actors()) {
    rows.push_back({ActorName(actor.address()), absl::AsciiStrToLower(v1::ActorPhase_Name(actor.phase())),
                    absl::StrCat(actor.pid()), actor.listen_address(),
                    absl::StrCat(actor.weight_version().number()),
                    absl::StrCat(actor.queue(), "/", actor.queue_limit()), MemoryText(actor),
                    Since(actor.last_progress_ns(), status.now_ns()), actor.activity()});
  }
  if (rows.empty()) return "";
  rows.insert(rows.begin(),
              {"actor", "phase", "pid", "address", "weights", "queue", "memory", "progress", "activity"});
  return absl::StrCat("\n", FormatTable(rows));
}

}  // namespace

std::string StatusText(const v1::JobStatus& status, const Paint& paint) {
  return absl::StrCat(JobText(status, paint), WaitsText(status), MultipliersText(status), MetricsText(status),
                      ActorsText(status));
}

std::string StatusLine(const v1::JobStatus& status) {
  std::string line = LiveLine(status, std::nullopt);
  if (status.waiting_for_size() > 0) {
    const v1::Wait& wait = status.waiting_for(0);
    absl::StrAppend(&line, "  waits for ", wait.what(), " (", Since(wait.since_ns(), status.now_ns()), ")");
  }
  if (!status.error().empty()) absl::StrAppend(&line, "  ", status.error());
  return line;
}

absl::StatusOr<std::string> FilesText(const fs::path& run_dir) {
  if (!fs::exists(run_dir / "job.yaml")) {
    return absl::NotFoundError(absl::StrCat(run_dir.string(), " holds no run"));
  }
  Rows rows = {{"run folder", run_dir.string()}};
  const absl::StatusOr<Outcome> outcome = ReadOutcome(run_dir);
  if (outcome.ok()) {
    rows.push_back({"state", absl::StrCat(outcome->state, " after step ", outcome->step)});
    if (!outcome->error.empty()) rows.push_back({"error", outcome->error});
  } else {
    rows.push_back(
        {"state", RunLock::Holder(run_dir).has_value() ? "the coordinator is starting" : "interrupted"});
  }
  rows.push_back({"committed", absl::StrCat("step ", CommittedStep(run_dir))});
  if (const auto metrics = LastMetrics(run_dir)) {
    rows.push_back({"last figures", StepLine(*metrics)});
  }
  return FormatTable(rows);
}

}  // namespace rein::cli
