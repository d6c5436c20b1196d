// The engine with a model whose positions depend on its pictures, against transformers' generation.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/rollout/engine/engine.h"
#include "actors/rollout/engine/fake_model.h"
#include "kernels/ops.h"
#include "models/qwen2_vl/test_case.h"

namespace rein::rollout {
namespace {

using models::Qwen2VlCase;

constexpr int64_t kImageToken = 5, kVideoToken = 6;

// No end token; pictures and videos are masked, as transformers was told.
class NeverEnding : public FakeProcessor {
 public:
  const std::vector<int32_t>& end_tokens() const override { return none_; }
  at::Tensor AllowedTokens(int64_t vocab_size) const override {
    at::Tensor allowed = at::ones({vocab_size}, at::kBool);
    allowed[kImageToken] = false;
    allowed[kVideoToken] = false;
    return allowed;
  }

 private:
  std::vector<int32_t> none_;
};

std::vector<int32_t> Tokens(const at::Tensor& ids) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < ids.numel(); ++i) tokens.push_back(ids[i].item<int32_t>());
  return tokens;
}

class Qwen2VlEngine : public testing::TestWithParam<std::string> {
 protected:
  Qwen2VlEngine() : reference_(GetParam()) {}

  std::vector<GenerationRequest> Requests(double temperature, int samples) {
    std::vector<GenerationRequest> requests;
    for (size_t i = 0; i < reference_.pictures.size(); ++i) {
      GenerationRequest& request = requests.emplace_back();
      request.prompt_id = absl::StrCat("p", i);
      request.prompt_tokens = Tokens(reference_.Single(i).token_ids);
      request.images = reference_.pictures[i];
      for (int j = 0; j < samples; ++j) request.samples.push_back(j);
      request.params = {.temperature = temperature, .max_response_tokens = 64, .seed = 3};
    }
    return requests;
  }

  // Steps until all are finished. After `switch_after` steps the weights are said to have changed, so that
  // everything running is prefilled again.
  std::map<std::string, GeneratedSample> Run(const std::vector<GenerationRequest>& requests,
                                             const EngineOptions& options, int switch_after = -1) {
    std::map<std::string, GeneratedSample> samples;
    auto engine = Engine::Create(reference_.model.get(), &processor_, options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    for (const GenerationRequest& request : requests) EXPECT_EQ((*engine)->Add(request), absl::OkStatus());
    for (int step = 0; step < 10000 && !(*engine)->idle(); ++step) {
      if (step == switch_after) (*engine)->WeightsChanged({.epoch = 1, .number = 2});
      const absl::Status status = (*engine)->Step([&](GeneratedSample sample) {
        samples[absl::StrCat(sample.prompt_id, "/", sample.sample)] = std::move(sample);
      });
      EXPECT_EQ(status, absl::OkStatus());
      if (!status.ok()) break;
    }
    preempted_ = (*engine)->counters().preempted;
    return samples;
  }

  // Log-probabilities of a sample's tokens by the packed forward pass of training.
  at::Tensor Logprobs(const GeneratedSample& sample, const GenerationRequest& request) {
    std::vector<int64_t> ids(request.prompt_tokens.begin(), request.prompt_tokens.end());
    ids.insert(ids.end(), sample.tokens.begin(), sample.tokens.end());
    const auto total = static_cast<int64_t>(ids.size()), count = static_cast<int64_t>(sample.tokens.size());
    models::PackedInput input{.token_ids = at::tensor(ids, at::kLong), .cu_seqlens = {0, total}};
    input.images = reference_.model->EncodeImages(request.images);
    const at::Tensor logits = reference_.LogitsOf(input).slice(0, total - count - 1, total - 1);
    return kernels::LogProbAndEntropy(logits, input.token_ids.slice(0, total - count),
                                      request.params.temperature, processor_.AllowedTokens(logits.size(1)))
        .logprob;
  }

  void ExpectTheTokensOfTransformers(const std::map<std::string, GeneratedSample>& samples) {
    for (size_t i = 0; i < reference_.pictures.size(); ++i) {
      const std::string id = absl::StrCat("p", i, "/0");
      ASSERT_TRUE(samples.contains(id));
      EXPECT_EQ(samples.at(id).tokens, Tokens(reference_.expected.at("greedy")[static_cast<int64_t>(i)]))
          << id;
    }
  }

  const at::NoGradGuard no_grad_;
  Qwen2VlCase reference_;
  NeverEnding processor_;
  int64_t preempted_ = 0;
};

TEST_P(Qwen2VlEngine, GeneratesTheTokensOfTransformers) {
  ExpectTheTokensOfTransformers(Run(Requests(0, 1), {.block_tokens = 4}));
}

TEST_P(Qwen2VlEngine, GeneratesThemAfterPrefillingAgain) {
  ExpectTheTokensOfTransformers(Run(Requests(0, 1), {.block_tokens = 4}, 20));
}

TEST_P(Qwen2VlEngine, GeneratesThemWhenBlocksRunOut) {
  const models::ModelShape& shape = reference_.model->shape();
  const models::KvCache::Shape block{.layers = shape.layers,
                                     .blocks = 1,
                                     .block_tokens = 4,
                                     .kv_heads = shape.kv_heads,
                                     .head_dim = shape.head_dim};
  const int64_t block_bytes = models::KvCache::BlockBytes(block, at::kFloat);
  ExpectTheTokensOfTransformers(Run(Requests(0, 1), {.block_tokens = 4, .cache_bytes = 40 * block_bytes}));
  EXPECT_GT(preempted_, 0);
}

TEST_P(Qwen2VlEngine, LogProbabilitiesAreThoseOfTraining) {
  const auto requests = Requests(1.0, 3);
  for (const int switch_after : {-1, 17}) {
    const auto samples = Run(requests, {.block_tokens = 4}, switch_after);
    ASSERT_EQ(samples.size(), 3 * requests.size());
    for (const auto& [id, sample] : samples) {
      for (const GenerationRequest& request : requests) {
        if (request.prompt_id != sample.prompt_id) continue;
        const at::Tensor expected = Logprobs(sample, request);
        EXPECT_LT((at::tensor(sample.logprobs) - expected).abs().max().item<double>(), 1e-4) << id;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Qwen2Vl, Qwen2VlEngine, testing::Values("nested", "flat", "many_pictures"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace rein::rollout
