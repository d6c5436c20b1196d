// Helps tests: a judge that says what it is told.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "evaluation/judge.h"

namespace rein::evaluation {

// One verdict after the other, whatever it is asked.
class ToldJudge : public Judge {
 public:
  explicit ToldJudge(std::vector<Verdict> verdicts, bool looks = false)
      : verdicts_(std::move(verdicts)), looks_(looks) {}

  std::vector<Verdict> Compare(absl::Span<const Comparison> batch) override {
    asked.insert(asked.end(), batch.begin(), batch.end());
    return Say(batch);
  }
  std::vector<Verdict> Assess(absl::Span<const Assessment> batch) override {
    assessed.insert(assessed.end(), batch.begin(), batch.end());
    return Say(batch);
  }
  bool looks_at_pictures() const override { return looks_; }
  nlohmann::json ToJson() const override { return {}; }

  std::vector<Comparison> asked;
  std::vector<Assessment> assessed;
  std::vector<std::string> images;  // of all that it was asked

 private:
  template <typename Question>
  std::vector<Verdict> Say(absl::Span<const Question> batch) {
    std::vector<Verdict> said;
    for (const Question& question : batch) {
      images.push_back(question.image == nullptr ? "" : *question.image);
      said.push_back(verdicts_.at(images.size() - 1));
    }
    return said;
  }

  const std::vector<Verdict> verdicts_;
  const bool looks_;
};

}  // namespace rein::evaluation
