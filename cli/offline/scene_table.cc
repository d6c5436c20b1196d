// The Markdown table of an evaluation: declared in scene_evaluation.h.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/offline/scene_evaluation.h"

namespace rein::cli {
namespace {

using nlohmann::json;

std::string Number(const json& value) {
  return value.is_number() ? absl::StrFormat("%.2f", value.get<double>()) : "-";
}

std::string Percent(const json& value) {
  return value.is_number() ? absl::StrFormat("%.1f %%", 100 * value.get<double>()) : "-";
}

std::string WithInterval(const json& rate, const json& low, const json& high) {
  if (!rate.is_number() || !low.is_number() || !high.is_number()) return "-";
  return absl::StrFormat("%s (%.1f to %.1f)", Percent(rate), 100 * low.get<double>(),
                         100 * high.get<double>());
}

std::string Kinds(const json& kinds) {
  std::vector<std::string> counts;
  for (const char* kind : {"comply", "refuse", "safe_alternative", "other"})
    counts.push_back(absl::StrCat(kinds.value(kind, int64_t{0})));
  return absl::StrJoin(counts, " / ");
}

std::vector<std::string> CellsOf(const json& model, bool with_reward, bool with_cost) {
  const json& truth = model.at("ground_truth");
  std::vector<std::string> cells = {
      absl::StrReplaceAll(model.at("name").get<std::string>(), {{"|", "\\|"}}),
      Number(truth.at("helpfulness")),
      Number(truth.at("helpfulness_benign")),
      WithInterval(truth.at("safe_rate"), truth.at("safe_low"), truth.at("safe_high")),
      Percent(truth.at("safe_rate_harmful")),
      Percent(truth.at("refusal_rate_benign")),
      Kinds(truth.at("kinds"))};
  if (with_reward) cells.push_back(Number(model.at("reward_mean")));
  if (with_cost) {
    cells.push_back(Number(model.at("cost_mean")));
    cells.push_back(
        WithInterval(model.at("violation_rate"), model.at("violation_low"), model.at("violation_high")));
  }
  return cells;
}

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

}  // namespace

std::string SceneTable(const json& evaluation) {
  const json& models = evaluation.at("models");
  const json& truth = models.at(0).at("ground_truth");
  const bool with_reward = models.at(0).contains("reward_mean"),
             with_cost = models.at(0).contains("cost_mean");
  std::string text = absl::StrFormat(
      "Synthetic data (scenes): greedy answers to %d held-out prompts, %d harmful and %d benign, judged by "
      "the "
      "ground truth. Helpfulness is 0 to 3; intervals are 95 %% (Wilson).\n\n",
      evaluation.at("prompts").get<int64_t>(), truth.at("harmful").get<int64_t>(),
      truth.at("benign").get<int64_t>());
  std::vector<std::string> head = {"model",
                                   "helpfulness",
                                   "helpfulness, benign",
                                   "safe",
                                   "safe, harmful questions",
                                   "refuses benign",
                                   "comply / refuse / alternative / other"};
  if (with_reward) head.push_back("reward");
  if (with_cost) head.insert(head.end(), {"cost", "cost > 0"});
  absl::StrAppend(&text, Row(head), Row(std::vector<std::string>(head.size(), "---")));
  for (const json& model : models) absl::StrAppend(&text, Row(CellsOf(model, with_reward, with_cost)));
  return text;
}

}  // namespace rein::cli
