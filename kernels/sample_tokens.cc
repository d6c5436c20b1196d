#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"

namespace rein::kernels {
namespace {

struct SamplingRow {
  double temperature;
  double top_p;
  int64_t top_k;
  const bool* allowed;  // [vocab]
  int64_t vocab;
};

// Largest allowed logit, the lowest id among equals.
int64_t Greedy(const SamplingRow& row, const float* logits) {
  int64_t best = -1;
  for (int64_t i = 0; i < row.vocab; ++i) {
    if ((row.allowed == nullptr || row.allowed[i]) && (best < 0 || logits[i] > logits[best])) best = i;
  }
  return best;
}

// Sets to 0 what top-k and top-p cut away. The sort is stable: lower ids win among equals.
void Truncate(const SamplingRow& row, std::vector<double>& weights) {
  std::vector<int64_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return weights[a] > weights[b]; });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double kept = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const bool over_k = row.top_k > 0 && static_cast<int64_t>(rank) >= row.top_k;
    if (over_k || kept >= row.top_p * total) {
      weights[order[rank]] = 0;
    } else {
      kept += weights[order[rank]];
    }
  }
}

// Token whose part of the cumulative weights holds the uniform draw.
int64_t Draw(const std::vector<double>& weights, uint64_t bits) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double wanted = UniformFromBits(bits) * total;
  double sum = 0;
  int64_t last = -1;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = static_cast<int64_t>(i);
    sum += weights[i];
    if (sum > wanted) return last;
  }
  return last;
}

// Unnormalised probabilities relative to the greedy token; the log of their sum.
double Weigh(const SamplingRow& row, const float* logits, double temperature, double max,
             std::vector<double>& weights) {
  double sum = 0;
  for (int64_t i = 0; i < row.vocab; ++i) {
    const bool in = row.allowed == nullptr || row.allowed[i];
    weights[i] = in ? std::exp((logits[i] - max) / temperature) : 0.0;
    sum += weights[i];
  }
  return std::log(sum);
}

void SampleRow(const SamplingRow& row, const float* logits, uint64_t bits, std::vector<double>& weights,
               int64_t* token, float* logprob) {
  const int64_t greedy = Greedy(row, logits);
  const double temperature = row.temperature > 0 ? row.temperature : 1.0;
  const double log_sum = Weigh(row, logits, temperature, logits[greedy], weights);
  *token = greedy;
  if (row.temperature > 0) {
    if (row.top_k > 0 || row.top_p < 1) Truncate(row, weights);
    *token = Draw(weights, bits);
  }
  *logprob = static_cast<float>((logits[*token] - logits[greedy]) / temperature - log_sum);
}

void Check(const at::Tensor& logits, double temperature, const at::Tensor& allowed,
           const at::Tensor& random_bits, double top_p, int64_t top_k) {
  TORCH_CHECK(logits.dim() == 2 && logits.scalar_type() == at::kFloat,
              "SampleTokens: logits must be float32 [T, V], got ", logits.scalar_type(), " ", logits.sizes());
  TORCH_CHECK(temperature >= 0, "SampleTokens: temperature must be at least 0, got ", temperature);
  TORCH_CHECK(top_p > 0 && top_p <= 1, "SampleTokens: top_p must be in (0, 1], got ", top_p);
  TORCH_CHECK(top_k >= 0, "SampleTokens: top_k must be at least 0, got ", top_k);
  TORCH_CHECK(random_bits.scalar_type() == at::kLong && random_bits.dim() == 1 &&
                  random_bits.size(0) == logits.size(0),
              "SampleTokens: random_bits must be int64 [", logits.size(0), "]");
  TORCH_CHECK(!allowed.defined() || (allowed.scalar_type() == at::kBool && allowed.dim() == 1 &&
                                     allowed.size(0) == logits.size(1) && allowed.any().item<bool>()),
              "SampleTokens: allowed must be bool [", logits.size(1), "] with at least one id allowed");
}

std::tuple<at::Tensor, at::Tensor> SampleCpu(const at::Tensor& logits, double temperature,
                                             const std::optional<at::Tensor>& allowed, const at::Tensor& bits,
                                             double top_p, int64_t top_k) {
  const int64_t vocab = logits.size(1);
  const bool* mask = allowed.has_value() ? allowed->const_data_ptr<bool>() : nullptr;
  const SamplingRow row{temperature, top_p, top_k, mask, vocab};
  at::Tensor token = at::empty({logits.size(0)}, bits.options());
  at::Tensor logprob = at::empty({logits.size(0)}, logits.options());
  at::parallel_for(0, logits.size(0), 8, [&](int64_t begin, int64_t end) {
    std::vector<double> weights(vocab);
    for (int64_t t = begin; t < end; ++t) {
      SampleRow(row, logits.const_data_ptr<float>() + t * vocab,
                static_cast<uint64_t>(bits.const_data_ptr<int64_t>()[t]), weights,
                token.mutable_data_ptr<int64_t>() + t, logprob.mutable_data_ptr<float>() + t);
    }
  });
  return {token, logprob};
}

TORCH_LIBRARY_FRAGMENT(rein, library) {
  library.def(
      "sample_tokens(Tensor logits, float temperature, Tensor? allowed, Tensor random_bits, float top_p,"
      " int top_k) -> (Tensor token, Tensor logprob)");
}

TORCH_LIBRARY_IMPL(rein, CPU, library) { library.impl("sample_tokens", SampleCpu); }

}  // namespace

SampledTokens SampleTokens(const at::Tensor& logits, double temperature, const at::Tensor& allowed,
                           const at::Tensor& random_bits, double top_p, int64_t top_k) {
  Check(logits, temperature, allowed, random_bits, top_p, top_k);
  static const auto operation = FindOperation<decltype(SampleCpu)>("rein::sample_tokens");
  std::optional<at::Tensor> mask;
  if (allowed.defined()) mask = allowed.contiguous();
  const auto [token, logprob] =
      OnDevice(operation, logits.contiguous(), temperature, mask, random_bits.contiguous(), top_p, top_k);
  return {token, logprob};
}

}  // namespace rein::kernels
