#include "cli/offline/train_progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace rein::cli {
namespace {

constexpr int64_t kLines = 10;
constexpr absl::string_view kEvaluation = "evaluation_";

std::string EvaluationText(const training::TrainProgress& progress) {
  std::string text;
  for (const auto& [name, value] : progress.metrics) {
    if (absl::StartsWith(name, kEvaluation))
      absl::StrAppendFormat(&text, "  %s %.4g", absl::StripPrefix(name, kEvaluation), value);
  }
  return text;
}

}  // namespace

std::string MetricsText(const std::map<std::string, double>& metrics, const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    const auto found = metrics.find(name);
    if (found == metrics.end()) continue;
    absl::StrAppendFormat(&text, "%s%s %.4g", text.empty() ? "" : "  ", name, found->second);
  }
  return text;
}

TrainProgressLine::TrainProgressLine(std::ostream& out, bool terminal, Pace::Clock clock)
    : out_(out), terminal_(terminal), clock_(std::move(clock)) {}

std::string TrainProgressLine::LineOf(const training::TrainProgress& progress) const {
  const std::string pace =
      progress.step == progress.total ? "done" : pace_->Text(progress.step, progress.total);
  return absl::StrCat("step ", progress.step, "/", progress.total, "  ",
                      MetricsText(progress.metrics, {"loss", "accuracy"}), pace.empty() ? "" : "  ", pace);
}

bool TrainProgressLine::IsDue(const training::TrainProgress& progress) const {
  const int64_t stride = std::max<int64_t>(1, progress.total / kLines);
  return terminal_ || progress.step == first_ || progress.step == progress.total ||
         progress.step % stride == 0;
}

void TrainProgressLine::Show(const training::TrainProgress& progress) {
  if (!pace_) {
    // What came before it, models and data that were loaded, says nothing of the pace.
    first_ = progress.step;
    pace_.emplace(first_, clock_);
  }
  const std::string evaluation = EvaluationText(progress);
  if (IsDue(progress)) {
    const bool stays = !terminal_ || progress.step == progress.total || !evaluation.empty();
    out_ << (terminal_ ? "\r" : "") << LineOf(progress) << (terminal_ ? "\x1b[K" : "") << (stays ? "\n" : "");
  }
  if (!evaluation.empty()) out_ << "evaluation at step " << progress.step << evaluation << "\n";
  out_.flush();
}

}  // namespace rein::cli
