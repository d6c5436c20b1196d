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

TrainProgressLine::TrainProgressLine(std::ostream& out, bool terminal, Clock clock)
    : out_(out), terminal_(terminal), clock_(std::move(clock)), start_(clock_()) {}

std::string TrainProgressLine::LineOf(const training::TrainProgress& progress) const {
  const absl::Duration each = (clock_() - start_) / std::max<int64_t>(1, progress.step - first_ + 1);
  const absl::Duration left = absl::Ceil(each * (progress.total - progress.step), absl::Seconds(1));
  return absl::StrCat(
      "step ", progress.step, "/", progress.total, "  ", MetricsText(progress.metrics, {"loss", "accuracy"}),
      "  ", progress.step == progress.total ? "done" : absl::StrCat(absl::FormatDuration(left), " left"));
}

bool TrainProgressLine::IsDue(const training::TrainProgress& progress) const {
  const int64_t stride = std::max<int64_t>(1, progress.total / kLines);
  return terminal_ || progress.step == first_ || progress.step == progress.total ||
         progress.step % stride == 0;
}

void TrainProgressLine::Show(const training::TrainProgress& progress) {
  if (first_ == 0) first_ = progress.step;
  const std::string evaluation = EvaluationText(progress);
  if (IsDue(progress)) {
    const bool stays = !terminal_ || progress.step == progress.total || !evaluation.empty();
    out_ << (terminal_ ? "\r" : "") << LineOf(progress) << (terminal_ ? "\x1b[K" : "") << (stays ? "\n" : "");
  }
  if (!evaluation.empty()) out_ << "evaluation at step " << progress.step << evaluation << "\n";
  out_.flush();
}

}  // namespace rein::cli
