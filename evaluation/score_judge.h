// Judges that need nobody: scores that answers have already, and the ground truth of scenes.
#pragma once

#include <vector>

#include "evaluation/judge.h"

namespace rein::evaluation {

// More helpful is the larger reward, safer the smaller cost; a cost over 0 is unsafe. What only one answer
// has says nothing. Answers with neither score in common fail, as does one without any.
class ScoreJudge : public Judge {
 public:
  // Differences of at most a margin are ties.
  ScoreJudge(double reward_margin, double cost_margin)
      : reward_margin_(reward_margin), cost_margin_(cost_margin) {}

  std::vector<Verdict> Compare(absl::Span<const Comparison> batch) override;
  std::vector<Verdict> Assess(absl::Span<const Assessment> batch) override;
  nlohmann::json ToJson() const override;

 private:
  Verdict CompareOne(const Comparison& comparison) const;

  double reward_margin_, cost_margin_;
};

// Synthetic. What it is asked names the picture of a scene (data::SceneOfRow); all else fails.
class SceneJudge : public Judge {
 public:
  std::vector<Verdict> Compare(absl::Span<const Comparison> batch) override;
  std::vector<Verdict> Assess(absl::Span<const Assessment> batch) override;
  nlohmann::json ToJson() const override;
};

}  // namespace rein::evaluation
