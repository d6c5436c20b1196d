#include "cli/report/figures.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/report/fields.h"

namespace rein::report {
namespace {

using nlohmann::json;
using Lines = std::vector<json>;

// (step, number) of the lines that have the field.
std::vector<Point> PointsOf(const Lines& lines, Path path) {
  std::vector<Point> points;
  for (const json& line : lines) {
    if (const auto value = NumberAt(line, path))
      points.push_back({static_cast<double>(*IntAt(line, {"step"})), *value});
  }
  return points;
}

std::vector<BandPoint> BandOf(const Lines& lines, Path low_path, Path high_path) {
  std::vector<BandPoint> band;
  for (const json& line : lines) {
    const auto low = NumberAt(line, low_path), high = NumberAt(line, high_path);
    if (low && high) band.push_back({static_cast<double>(*IntAt(line, {"step"})), *low, *high});
  }
  return band;
}

const v1::Constraint* ConstraintOf(const RunRecord& record, const std::string& name) {
  if (!record.job) return nullptr;
  for (const v1::Constraint& constraint : record.job->constraints()) {
    if (constraint.name() == name) return &constraint;
  }
  return nullptr;
}

std::optional<double> ThresholdOf(const RunRecord& record, const std::string& name) {
  if (const v1::Constraint* constraint = ConstraintOf(record, name)) return constraint->threshold();
  return record.metrics.empty() ? std::nullopt
                                : NumberAt(record.metrics.back(), {"constraints", name, "threshold"});
}

LineChart RewardFigure(const RunRecord& record) {
  LineChart chart{.head = {"reward", "Reward", "mean over the samples of a step"}, .smooth = true};
  chart.series.push_back({"reward", PointsOf(record.metrics, {"reward_mean"}), {}});
  return chart;
}

LineChart ViolationFigure(const RunRecord& record) {
  LineChart chart{.head = {"violations", "Violation rate", "samples with a cost over 0, with 95 % interval",
                           Format::kPercent},
                  .low = 0.0,
                  .smooth = true};
  chart.series.push_back({"any constraint", PointsOf(record.metrics, {"violation_rate"}),
                          BandOf(record.metrics, {"violation_low"}, {"violation_high"})});
  const std::vector<std::string> names = record.constraint_names();
  for (const std::string& name : names) {
    if (names.size() > 1)
      chart.series.push_back({name, PointsOf(record.metrics, {"constraints", name, "violation_rate"}), {}});
  }
  return chart;
}

// What the multiplier is driven by, and the threshold that it is held to.
LineChart SignalFigure(const RunRecord& record, const std::string& name) {
  const v1::Constraint* constraint = ConstraintOf(record, name);
  const std::string signal = constraint == nullptr ? "" : constraint->signal();
  LineChart chart{.head = {absl::StrCat("signal ", name), absl::StrCat("Constraint ", name),
                           signal.empty() ? "its signal" : absl::StrCat("its signal: ", signal),
                           signal == "violation" ? Format::kPercent : Format::kNumber}};
  chart.series.push_back(
      {"mean of a step", PointsOf(record.metrics, {"constraints", name, "signal_mean"}), {}});
  chart.series.push_back(
      {"mean of the window", PointsOf(record.metrics, {"constraints", name, "cost_window_mean"}), {}});
  if (const auto threshold = ThresholdOf(record, name)) chart.levels.push_back({"threshold", *threshold});
  return chart;
}

LineChart LambdaFigure(const RunRecord& record) {
  LineChart chart{.head = {"lambda", "Multiplier \xce\xbb", "weight of the constraint in the advantage"},
                  .low = 0.0};
  for (const std::string& name : record.constraint_names())
    chart.series.push_back({name, PointsOf(record.metrics, {"constraints", name, "lambda"}), {}});
  return chart;
}

LineChart CostFigure(const RunRecord& record) {
  LineChart chart{.head = {"cost", "Cost", "mean over the samples of a step; over 0 is unsafe"},
                  .smooth = true};
  for (const std::string& name : record.constraint_names())
    chart.series.push_back({name, PointsOf(record.metrics, {"constraints", name, "cost_mean"}), {}});
  chart.levels.push_back({"unsafe above", 0});
  return chart;
}

LineChart TruthHelpfulnessFigure(const RunRecord& record) {
  LineChart chart{
      .head = {"truth helpfulness", "Helpfulness", "ground truth (synthetic), 0 to 3, held-out prompts"},
      .low = 0.0,
      .high = 3.0,
      .dots = true};
  chart.series.push_back(
      {"all questions", PointsOf(record.evaluations, {"ground_truth", "helpfulness"}), {}});
  chart.series.push_back(
      {"benign questions", PointsOf(record.evaluations, {"ground_truth", "helpfulness_benign"}), {}});
  return chart;
}

LineChart TruthSafetyFigure(const RunRecord& record) {
  LineChart chart{
      .head = {"truth safety", "Safety", "ground truth (synthetic), held-out prompts", Format::kPercent},
      .low = 0.0,
      .high = 1.0,
      .dots = true};
  const auto points = [&](const char* field) {
    return PointsOf(record.evaluations, {"ground_truth", field});
  };
  chart.series.push_back(
      {"safe answers", points("safe_rate"),
       BandOf(record.evaluations, {"ground_truth", "safe_low"}, {"ground_truth", "safe_high"})});
  chart.series.push_back({"on harmful questions", points("safe_rate_harmful"), {}});
  chart.series.push_back({"benign refused", points("refusal_rate_benign"), {}});
  return chart;
}

LineChart KlFigure(const RunRecord& record) {
  LineChart chart{.head = {"kl", "KL to the start policy", "nats, mean over the samples of a step"},
                  .smooth = true};
  chart.series.push_back({"KL", PointsOf(record.metrics, {"kl"}), {}});
  return chart;
}

LineChart LengthFigure(const RunRecord& record) {
  LineChart chart{.head = {"length", "Response length", "tokens, mean over the samples of a step"},
                  .low = 0.0,
                  .smooth = true};
  chart.series.push_back({"tokens", PointsOf(record.metrics, {"response_tokens"}), {}});
  return chart;
}

LineChart GapFigure(const RunRecord& record) {
  LineChart chart{.head = {"gap", "Log-probability gap", "rollout against training, nats"}, .low = 0.0};
  chart.series.push_back({"mean", PointsOf(record.metrics, {"logprob_gap"}), {}});
  chart.series.push_back({"largest", PointsOf(record.metrics, {"logprob_gap_max"}), {}});
  return chart;
}

StackedChart TimeFigure(const RunRecord& record) {
  StackedChart chart{.head = {"time", "Time of a step", "", Format::kSeconds}};
  chart.names = {"generate", "score", "experience", "train", "publish", "checkpoint", "evaluate"};
  for (const json& line : record.metrics) {
    if (ObjectAt(line, {"seconds"}).empty()) continue;
    StackedChart::Column column{static_cast<double>(*IntAt(line, {"step"})), {}};
    for (const std::string& phase : chart.names)
      column.values.push_back(std::max(0.0, NumberAt(line, {"seconds", phase}).value_or(0)));
    chart.columns.push_back(std::move(column));
  }
  return chart;
}

StackedChart KindsFigure(const RunRecord& record) {
  StackedChart chart{
      .head = {"kinds", "What sampled answers do", "ground truth (synthetic)", Format::kPercent},
      .names = {"comply", "safe alternative", "refuse", "other"}};
  for (const auto& [step, sampled] : record.sampled_kinds) {
    StackedChart::Column column{static_cast<double>(step), {}};
    for (const char* kind : {"comply", "safe_alternative", "refuse", "other"}) {
      const auto found = sampled.kinds.find(kind);
      const int64_t count = found == sampled.kinds.end() ? 0 : found->second;
      column.values.push_back(static_cast<double>(count) / static_cast<double>(sampled.samples));
    }
    chart.columns.push_back(std::move(column));
  }
  return chart;
}

// Without the series that have no points.
void AddTo(std::vector<Chart>& figures, LineChart chart) {
  const auto is_empty = [](const Series& series) { return series.points.empty(); };
  chart.series.erase(std::remove_if(chart.series.begin(), chart.series.end(), is_empty), chart.series.end());
  if (!chart.series.empty()) figures.push_back(std::move(chart));
}

void AddTo(std::vector<Chart>& figures, StackedChart chart) {
  if (!chart.columns.empty()) figures.push_back(std::move(chart));
}

}  // namespace

std::vector<Chart> FiguresOf(const RunRecord& record) {
  std::vector<Chart> figures;
  AddTo(figures, TruthHelpfulnessFigure(record));
  AddTo(figures, TruthSafetyFigure(record));
  AddTo(figures, RewardFigure(record));
  AddTo(figures, ViolationFigure(record));
  for (const std::string& name : record.constraint_names()) AddTo(figures, SignalFigure(record, name));
  AddTo(figures, LambdaFigure(record));
  AddTo(figures, CostFigure(record));
  AddTo(figures, KindsFigure(record));
  AddTo(figures, KlFigure(record));
  AddTo(figures, LengthFigure(record));
  AddTo(figures, GapFigure(record));
  AddTo(figures, TimeFigure(record));
  return figures;
}

}  // namespace rein::report
