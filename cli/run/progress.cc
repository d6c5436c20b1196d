#include "cli/run/progress.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/terminal.h"

namespace rein::cli {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kLongWait = absl::Seconds(10);
// The same wait, e.g. for a long training step, is not said again sooner.
constexpr absl::Duration kSayAgain = absl::Minutes(5);
constexpr int64_t kLinesAtMost = 200;

std::string Number(const Json& object, const char* key) {
  if (!object.contains(key) || !object[key].is_number()) return "-";
  return FormatFigure(object[key].get<double>());
}

std::string Rate(const Json& object, const char* key) {
  if (!object.contains(key) || !object[key].is_number()) return "-";
  return FormatRate(object[key].get<double>());
}

std::string ConstraintText(const std::string& name, const std::string& cost, const std::string& threshold,
                           const std::string& lambda) {
  return absl::StrCat("  ", name, " ", cost, " (at most ", threshold, ")  lambda ", lambda);
}

std::optional<double> MetricOf(const v1::JobStatus& status, const std::string& name) {
  for (const v1::Metric& metric : status.metrics()) {
    if (metric.name() == name) return metric.value();
  }
  return std::nullopt;
}

// The same wait of another step is no news: "policy: train step 12" -> "policy: train step ".
std::string KindOf(const v1::Wait& wait) {
  std::string kind = wait.what();
  kind.erase(std::remove_if(kind.begin(), kind.end(), absl::ascii_isdigit), kind.end());
  return kind;
}

absl::Time SinceOf(const v1::Wait& wait) { return absl::FromUnixNanos(wait.since_ns()); }

// Before there are figures, what is waited for longest takes their place.
std::string EarlyWait(const v1::JobStatus& status) {
  const auto& waits = status.waiting_for();
  if (!status.metrics().empty() || waits.empty()) return "";
  const auto oldest = std::min_element(waits.begin(), waits.end(), [](const v1::Wait& a, const v1::Wait& b) {
    return a.since_ns() < b.since_ns();
  });
  return absl::StrCat("  waiting for ", oldest->what());
}

bool IsEnding(v1::JobPhase phase) {
  return phase == v1::JOB_STOPPING || phase == v1::JOB_FINISHED || phase == v1::JOB_FAILED;
}

}  // namespace

std::string PhaseWord(v1::JobPhase phase) {
  if (!v1::JobPhase_IsValid(phase) || phase == v1::JOB_PHASE_UNSPECIFIED) return "";
  std::string word = absl::AsciiStrToLower(v1::JobPhase_Name(phase));
  return std::string(absl::StripPrefix(word, "job_"));
}

std::string StepLine(const Json& metrics, int64_t total_steps) {
  const std::string total = total_steps > 0 ? absl::StrCat("/", total_steps) : "";
  std::string line = absl::StrCat("step ", metrics.value("step", int64_t{0}), total, "  reward ",
                                  Number(metrics, "reward_mean"));
  if (metrics.contains("constraints") && metrics["constraints"].is_object()) {
    for (const auto& [name, constraint] : metrics["constraints"].items()) {
      absl::StrAppend(&line, ConstraintText(name, Number(constraint, "cost_window_mean"),
                                            Number(constraint, "threshold"), Number(constraint, "lambda")));
    }
  }
  absl::StrAppend(&line, "  unsafe ", Rate(metrics, "violation_rate"), "  kl ", Number(metrics, "kl"));
  if (metrics.contains("seconds")) absl::StrAppend(&line, "  ", Number(metrics["seconds"], "total"), " s");
  return line;
}

std::string LiveLine(const v1::JobStatus& status, std::optional<absl::Duration> left) {
  std::string line =
      absl::StrCat(PhaseWord(status.phase()), "  step ", status.step(), "/", status.total_steps());
  if (left.has_value()) absl::StrAppend(&line, "  ", FormatWait(*left), " left");
  if (const auto reward = MetricOf(status, "reward_mean")) {
    absl::StrAppend(&line, "  reward ", FormatFigure(*reward));
    for (const v1::MultiplierStatus& m : status.multipliers()) {
      absl::StrAppend(&line,
                      ConstraintText(m.constraint(), FormatFigure(m.cost_window_mean()),
                                     FormatFigure(m.threshold()), FormatFigure(m.lambda())),
                      "  unsafe ", FormatRate(m.violation_rate()));
    }
  }
  return line;
}

std::string FitToColumns(const std::string& line, int columns) {
  const size_t width = static_cast<size_t>(std::max(1, columns));
  if (line.size() <= width) return line;
  const size_t gap = line.rfind("  ", width);
  return line.substr(0, gap == std::string::npos ? width : gap);
}

Progress::Progress(FILE* out, bool terminal, std::filesystem::path run_dir, int64_t first_step,
                   int64_t total_steps)
    : out_(out),
      terminal_(terminal),
      total_steps_(total_steps),
      metrics_(run_dir / "metrics.jsonl", first_step) {}

void Progress::Show(const v1::JobStatus& status, absl::Time now) {
  SayTroubles(status);
  status_ = status;
  ShowSteps(now);
  Remind(now);
  if (terminal_) Draw(absl::StrCat(LiveLine(status, TimeLeft(now)), EarlyWait(status)));
}

void Progress::ShowSteps(absl::Time now) {
  const int64_t every = std::max<int64_t>(1, total_steps_ / kLinesAtMost);
  for (const Json& metrics : metrics_.ReadNew()) {
    const int64_t step = metrics.value("step", int64_t{0});
    if (!base_step_.has_value()) {
      base_step_ = step;
      base_time_ = now;
    }
    last_line_ = StepLine(metrics, total_steps_);
    if (!terminal_ && (step % every == 0 || step == total_steps_)) SayLastLine();
  }
}

void Progress::SayLastLine() {
  if (!last_line_.empty()) Say(last_line_);
  last_line_.clear();
}

void Progress::SayTroubles(const v1::JobStatus& status) {
  if (status.actor_restarts() > status_.actor_restarts()) {
    Say(absl::StrCat("an actor was restarted (", status.actor_restarts(), " so far)"));
  }
  if (status.rollbacks() > status_.rollbacks()) {
    Say(absl::StrCat("rolled back to the commit of step ", status.committed_step(), " (", status.rollbacks(),
                     " rollbacks so far)"));
  }
  if (!status.error().empty() && status.error() != said_error_) {
    Say(absl::StrCat(PhaseWord(status.phase()), ": ", status.error()));
  }
  said_error_ = status.error();
}

absl::Time Progress::NextReminder() const {
  absl::Time next = absl::InfiniteFuture();
  if (status_.phase() == v1::JOB_PAUSED) return next;
  for (const v1::Wait& wait : status_.waiting_for()) {
    const auto said = said_waits_.find(KindOf(wait));
    const absl::Time due = SinceOf(wait) + kLongWait;
    next = std::min(next, said == said_waits_.end() ? due : std::max(due, said->second + kSayAgain));
  }
  return next;
}

void Progress::Remind(absl::Time now) {
  if (status_.phase() == v1::JOB_PAUSED) return;
  for (const v1::Wait& wait : status_.waiting_for()) {
    const auto said = said_waits_.find(KindOf(wait));
    if (now - SinceOf(wait) < kLongWait) continue;
    if (said != said_waits_.end() && now - said->second < kSayAgain) continue;
    said_waits_[KindOf(wait)] = now;
    Say(absl::StrCat("waiting for ", wait.what(), " since ", FormatWait(now - SinceOf(wait))));
  }
}

std::optional<absl::Duration> Progress::TimeLeft(absl::Time now) const {
  if (!base_step_.has_value() || last_step() <= *base_step_) return std::nullopt;
  if (last_step() >= total_steps_ || IsEnding(status_.phase())) return std::nullopt;
  return (now - base_time_) / (last_step() - *base_step_) * (total_steps_ - last_step());
}

void Progress::Draw(const std::string& line) {
  fprintf(out_, "\r\x1b[2K%s", FitToColumns(line, TerminalColumns(out_) - 1).c_str());
  fflush(out_);
  drawn_ = true;
}

void Progress::Say(const std::string& text) {
  fprintf(out_, "%s%s\n", drawn_ ? "\r\x1b[2K" : "", text.c_str());
  fflush(out_);
  drawn_ = false;
}

void Progress::Finish() {
  ShowSteps(base_time_);
  if (drawn_) fprintf(out_, "\r\x1b[2K");
  drawn_ = false;
  SayLastLine();
  fflush(out_);
}

}  // namespace rein::cli
