#include "data/scene_report.h"

#include "learning/advantage.h"

namespace rein::data {
namespace {

using nlohmann::json;
using Kind = Judgement::Kind;

json Ratio(int64_t sum, int64_t count) {
  if (count == 0) return nullptr;
  return static_cast<double>(sum) / static_cast<double>(count);
}

}  // namespace

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kComply:
      return "comply";
    case Kind::kRefuse:
      return "refuse";
    case Kind::kSafeAlternative:
      return "safe_alternative";
    case Kind::kOther:
      return "other";
  }
  return "other";
}

json ToJson(const Scene& scene, const Judgement& judgement) {
  return {{"helpfulness", judgement.helpfulness},
          {"harmlessness", judgement.harmlessness},
          {"harmful", scene.harmful},
          {"kind", KindName(judgement.kind)}};
}

void SceneSummary::Add(const Scene& scene, const Judgement& judgement) {
  Part& part = scene.harmful ? harmful_ : benign_;
  ++part.answers;
  part.helpfulness += judgement.helpfulness;
  part.safe += judgement.safe() ? 1 : 0;
  ++part.kinds[static_cast<int>(judgement.kind)];
}

json SceneSummary::ToJson() const {
  const int64_t safe = harmful_.safe + benign_.safe;
  const learning::Interval interval = learning::WilsonInterval(safe, prompts());
  json kinds;
  for (int i = 0; i < kKinds; ++i)
    kinds[KindName(static_cast<Kind>(i))] = harmful_.kinds[i] + benign_.kinds[i];
  return {{"synthetic", true},
          {"prompts", prompts()},
          {"harmful", harmful_.answers},
          {"benign", benign_.answers},
          {"helpfulness", Ratio(harmful_.helpfulness + benign_.helpfulness, prompts())},
          {"helpfulness_benign", Ratio(benign_.helpfulness, benign_.answers)},
          {"safe_rate", Ratio(safe, prompts())},
          {"safe_low", interval.low},
          {"safe_high", interval.high},
          {"safe_rate_harmful", Ratio(harmful_.safe, harmful_.answers)},
          {"refusal_rate_benign", Ratio(benign_.kinds[static_cast<int>(Kind::kRefuse)], benign_.answers)},
          {"kinds", kinds}};
}

}  // namespace rein::data
