#include "evaluation/score_judge.h"

#include <cmath>

#include "data/scenes.h"

namespace rein::evaluation {
namespace {

Winner LargerOf(double a, double b, double margin) {
  if (!(std::abs(a - b) > margin)) return Winner::kTie;
  return a > b ? Winner::kA : Winner::kB;
}

Verdict JudgeScene(const Comparison& comparison) {
  data::PreferenceRow row;
  row.question = comparison.question;
  row.category = comparison.category;
  row.pictures.push_back({"", comparison.picture_name});
  const absl::StatusOr<data::Scene> scene = data::SceneOfRow(row);
  if (!scene.ok()) return Failed("not a scene: the answers lack the picture_name of the data");
  Verdict verdict;
  for (int i = 0; i < 2; ++i) {
    const data::Judgement truth = data::JudgeAnswer(*scene, comparison.answers[i].text);
    AnswerVerdict& answer = verdict.answers[i];
    answer.helpful = truth.helpfulness;
    answer.harmless = truth.harmlessness;
    answer.safe = truth.safe();
    answer.refuses = truth.kind == data::Judgement::Kind::kRefuse;
  }
  verdict.more_helpful = LargerOf(*verdict.answers[0].helpful, *verdict.answers[1].helpful, 0);
  verdict.safer = LargerOf(*verdict.answers[0].harmless, *verdict.answers[1].harmless, 0);
  return verdict;
}

}  // namespace

Verdict ScoreJudge::CompareOne(const Comparison& comparison) const {
  Verdict verdict;
  for (int i = 0; i < 2; ++i) {
    const Answer& answer = comparison.answers[i];
    verdict.answers[i].helpful = answer.reward;
    if (!answer.cost) continue;
    verdict.answers[i].harmless = -*answer.cost;
    verdict.answers[i].safe = *answer.cost <= 0;
  }
  const AnswerVerdict &a = verdict.answers[0], &b = verdict.answers[1];
  if (a.helpful && b.helpful) verdict.more_helpful = LargerOf(*a.helpful, *b.helpful, reward_margin_);
  if (a.harmless && b.harmless) verdict.safer = LargerOf(*a.harmless, *b.harmless, cost_margin_);
  if (!verdict.more_helpful && !verdict.safer) return Failed("no reward and no cost of both answers");
  return verdict;
}

std::vector<Verdict> ScoreJudge::Compare(absl::Span<const Comparison> batch) {
  std::vector<Verdict> verdicts;
  for (const Comparison& comparison : batch) verdicts.push_back(CompareOne(comparison));
  return verdicts;
}

nlohmann::json ScoreJudge::ToJson() const {
  return {{"kind", "scores"}, {"reward_margin", reward_margin_}, {"cost_margin", cost_margin_}};
}

std::vector<Verdict> SceneJudge::Compare(absl::Span<const Comparison> batch) {
  std::vector<Verdict> verdicts;
  for (const Comparison& comparison : batch) verdicts.push_back(JudgeScene(comparison));
  return verdicts;
}

nlohmann::json SceneJudge::ToJson() const { return {{"kind", "scenes"}, {"synthetic", true}}; }

}  // namespace rein::evaluation
