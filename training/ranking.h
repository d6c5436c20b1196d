// How well scores order and separate answers.
#pragma once

#include <optional>
#include <vector>

namespace rein::training {

// Share of pairs with better > worse, strictly. Equal sizes, at least 1.
double RankingAccuracy(const std::vector<float>& better, const std::vector<float>& worse);

// Share of scores with sign * score > 0; signs of 0 are left out. Nothing where all are 0.
std::optional<double> SignAccuracy(const std::vector<float>& scores, const std::vector<float>& signs);

// Area under the ROC curve: the chance that a score with sign > 0 exceeds one with sign < 0, ties counted
// half. Nothing where one kind is missing.
std::optional<double> AreaUnderCurve(const std::vector<float>& scores, const std::vector<float>& signs);

// How far sigmoid(score), read as the probability of sign > 0, is from the truth; signs of 0 are left out and
// nothing comes back where all are. CalibrationError: mean distance between probability and observed share
// over ten bins of equal width, weighted by their counts. BrierScore: mean squared distance from 0 or 1.
std::optional<double> CalibrationError(const std::vector<float>& scores, const std::vector<float>& signs);
std::optional<double> BrierScore(const std::vector<float>& scores, const std::vector<float>& signs);

}  // namespace rein::training
