#include "learning/tensor/losses.h"

#include <ATen/ATen.h>

#include <vector>

#include "gtest/gtest.h"

namespace rein::learning {
namespace {

at::Tensor Double(std::vector<double> values) { return at::tensor(values, at::kDouble); }

const std::vector<double> kLogp = {-1, -.5, -2, -.1};

TEST(RewardLoss, MatchesTheGoldenVector) {
  const at::Tensor loss = RewardLoss(Double({1.2, -0.3, 0.7}), Double({0.4, 0.1, -2.0}), 0.001);
  EXPECT_NEAR(loss.item<double>(), 0.450751493, 1e-9);
}

TEST(CostLoss, MatchesTheGoldenVector) {
  // s = -harmless_rate: hi [-2, 0, -3], lo [3, -1, 1].
  const at::Tensor loss = CostLoss(Double({0.8, -0.5, 0.3}), Double({-1.1, 0.2, -0.4}), Double({2, 0, 3}),
                                   Double({-3, 1, -1}), 1.0, 0.001);
  EXPECT_NEAR(loss.item<double>(), 1.337509678, 1e-9);
}

TEST(CostLoss, WithoutSignTermsIsARankingLoss) {
  const at::Tensor hi = Double({0.5}), lo = Double({-0.5});
  EXPECT_NEAR(CostLoss(hi, lo, Double({3}), Double({-3}), 0.0, 0.0).item<double>(),
              RewardLoss(hi, lo, 0.0).item<double>(), 1e-12);
}

TEST(DpoLoss, MatchesTheFormula) {
  // beta 0.1; log-probabilities of answers: chosen [-12, -30, -8], rejected [-15, -20, -8], of the reference
  // [-14, -29, -8] and [-13, -24, -8]: margins 0.4, -0.5, 0.
  const at::Tensor chosen = 0.1 * (Double({-12, -30, -8}) - Double({-14, -29, -8}));
  const at::Tensor rejected = 0.1 * (Double({-15, -20, -8}) - Double({-13, -24, -8}));
  const double expected = (std::log1p(std::exp(-0.4)) + std::log1p(std::exp(0.5)) + std::log(2.0)) / 3;
  EXPECT_NEAR(DpoLoss(chosen, rejected).item<double>(), expected, 1e-12);
  EXPECT_NEAR(expected, 0.7267464724, 1e-9);
}

TEST(DpoLoss, GradientsMatchFiniteDifferences) {
  at::Tensor chosen = Double({0.2, -1.5, 3}), rejected = Double({-0.4, 0.5, 2});
  chosen.requires_grad_(true);
  rejected.requires_grad_(true);
  DpoLoss(chosen, rejected).backward();
  for (const at::Tensor& input : {chosen, rejected}) {
    for (int64_t i = 0; i < input.numel(); ++i) {
      double& value = input.data_ptr<double>()[i];
      const double kept = value, size = 1e-5;
      value = kept + size;
      const double up = DpoLoss(chosen, rejected).item<double>();
      value = kept - size;
      const double down = DpoLoss(chosen, rejected).item<double>();
      value = kept;
      EXPECT_NEAR(input.grad()[i].item<double>(), (up - down) / (2 * size), 1e-8);
    }
  }
}

TEST(PolicyTokenLoss, MatchesTheGoldenVector) {
  const at::Tensor old = Double(kLogp);
  const at::Tensor advantage = Double({.566265955, .75339, .714381818, .559636364});
  const at::Tensor loss =
      PolicyTokenLoss(Double({-.7, -.55, -2.3, -.05}), old, old, advantage, 0.2, 2.0).mean();
  EXPECT_NEAR(loss.item<double>(), -0.628430621, 1e-8);
}

TEST(PolicyTokenLoss, TheGradientAtRatioOneIsMinusTheAdvantage) {
  const at::Tensor old = Double(kLogp);
  at::Tensor fresh = old.clone().requires_grad_(true);
  const at::Tensor advantage = Double({1, -2, 3, -4});
  PolicyTokenLoss(fresh, old, old, advantage, 0.2, 2.0).sum().backward();
  EXPECT_TRUE(at::allclose(fresh.grad(), -advantage));
}

TEST(PolicyTokenLoss, TheCorrectionForTheRolloutEngineIsTruncated) {
  const at::Tensor old = Double({-1, -1});
  const at::Tensor behaviour = Double({-1.1, -6});
  const at::Tensor loss = PolicyTokenLoss(old, old, behaviour, Double({1, 1}), 0.2, 2.0);
  EXPECT_NEAR(loss[0].item<double>(), -std::exp(0.1), 1e-12);
  EXPECT_NEAR(loss[1].item<double>(), -2.0, 1e-12);
}

TEST(CriticTokenLoss, MatchesTheGoldenVector) {
  const at::Tensor loss = CriticTokenLoss(Double({.25, -6, .4, 5.9}), Double({.2, .1, .4, .3}),
                                          Double({1.3270955, 1.39589, 1.4462, 1.496}), 5.0);
  EXPECT_NEAR(loss.mean().item<double>(), 9.543634256, 1e-8);
}

}  // namespace
}  // namespace rein::learning
