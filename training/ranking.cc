#include "training/ranking.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace rein::training {

double RankingAccuracy(const std::vector<float>& better, const std::vector<float>& worse) {
  double right = 0;
  for (size_t i = 0; i < better.size(); ++i) right += better[i] > worse[i] ? 1 : 0;
  return right / static_cast<double>(better.size());
}

std::optional<double> SignAccuracy(const std::vector<float>& scores, const std::vector<float>& signs) {
  double right = 0, rated = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    rated += signs[i] != 0 ? 1 : 0;
    right += signs[i] * scores[i] > 0 ? 1 : 0;
  }
  if (rated == 0) return std::nullopt;
  return right / rated;
}

std::optional<double> AreaUnderCurve(const std::vector<float>& scores, const std::vector<float>& signs) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  double pairs_won = 0, positives = 0, negatives = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double tied_positives = 0, tied_negatives = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) {
      tied_positives += signs[order[end]] > 0 ? 1 : 0;
      tied_negatives += signs[order[end]] < 0 ? 1 : 0;
    }
    pairs_won += tied_positives * (negatives + tied_negatives / 2);
    positives += tied_positives;
    negatives += tied_negatives;
  }
  if (positives == 0 || negatives == 0) return std::nullopt;
  return pairs_won / (positives * negatives);
}

namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

std::optional<double> CalibrationError(const std::vector<float>& scores, const std::vector<float>& signs) {
  constexpr int kBins = 10;
  // Sum of (probability - outcome) in each bin: its absolute value is count times distance of the means.
  std::array<double, kBins> excess = {};
  double rated = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (signs[i] == 0 || std::isnan(scores[i])) continue;
    const double probability = Sigmoid(scores[i]);
    excess[std::min(kBins - 1, static_cast<int>(probability * kBins))] +=
        probability - (signs[i] > 0 ? 1 : 0);
    rated += 1;
  }
  if (rated == 0) return std::nullopt;
  double total = 0;
  for (const double bin : excess) total += std::abs(bin);
  return total / rated;
}

std::optional<double> BrierScore(const std::vector<float>& scores, const std::vector<float>& signs) {
  double total = 0, rated = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (signs[i] == 0 || std::isnan(scores[i])) continue;
    const double distance = Sigmoid(scores[i]) - (signs[i] > 0 ? 1 : 0);
    total += distance * distance;
    rated += 1;
  }
  if (rated == 0) return std::nullopt;
  return total / rated;
}

}  // namespace rein::training
