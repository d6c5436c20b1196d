// The engine with models of every family, against the generation of transformers.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/rollout/engine/engine.h"
#include "actors/rollout/engine/fake_model.h"
#include "kernels/ops.h"
#include "models/family_case.h"

namespace rein::rollout {
namespace {

using models::FamilyCase;

// No end token; masks the ids that transformers was told to leave out.
class NeverEnding : public FakeProcessor {
 public:
  explicit NeverEnding(std::vector<int64_t> masked) : masked_(std::move(masked)) {}

  const std::vector<int32_t>& end_tokens() const override { return none_; }
  at::Tensor AllowedTokens(int64_t vocab_size) const override {
    at::Tensor allowed = at::ones({vocab_size}, at::kBool);
    for (int64_t id : masked_) allowed[id] = false;
    return allowed;
  }

 private:
  std::vector<int64_t> masked_;
  std::vector<int32_t> none_;
};

std::vector<int32_t> Tokens(const at::Tensor& ids) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < ids.numel(); ++i) tokens.push_back(ids[i].item<int32_t>());
  return tokens;
}

class FamilyEngine : public testing::TestWithParam<std::string> {
 protected:
  FamilyEngine() : reference_(GetParam()), processor_(reference_.Values("suppressed")) {}

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
  FamilyCase reference_;
  NeverEnding processor_;
  int64_t preempted_ = 0;
};

TEST_P(FamilyEngine, GeneratesTheTokensOfTransformers) {
  ExpectTheTokensOfTransformers(Run(Requests(0, 1), {.block_tokens = 4}));
}

TEST_P(FamilyEngine, GeneratesThemAfterPrefillingAgain) {
  ExpectTheTokensOfTransformers(Run(Requests(0, 1), {.block_tokens = 4}, 20));
}

TEST_P(FamilyEngine, GeneratesThemWhenBlocksRunOut) {
  const models::ModelShape& shape = reference_.model->shape();
  const models::KvCache::Shape block{.layers = shape.layers,
                                     .blocks = 1,
                                     .block_tokens = 4,
                                     .kv_heads = shape.kv_heads,
                                     .head_dim = shape.head_dim};
  const auto requests = Requests(0, 1);
  size_t longest = 0;
  for (const GenerationRequest& request : requests)
    longest = std::max(longest, request.prompt_tokens.size() + 64);
  // Enough for the longest of them and a little more, not for all.
  const int64_t cache_bytes =
      (static_cast<int64_t>(longest) / 4 + 4) * models::KvCache::BlockBytes(block, at::kFloat);
  ExpectTheTokensOfTransformers(Run(requests, {.block_tokens = 4, .cache_bytes = cache_bytes}));
  EXPECT_GT(preempted_, 0);
}

TEST_P(FamilyEngine, LogProbabilitiesAreThoseOfTraining) {
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

INSTANTIATE_TEST_SUITE_P(Idefics3, FamilyEngine,
                         testing::Values("idefics3/plain", "idefics3/grouped_queries",
                                         "idefics3/many_pictures"),
                         models::CaseName);
INSTANTIATE_TEST_SUITE_P(Llava, FamilyEngine,
                         testing::Values("llava/plain", "llava/grouped_queries", "llava/last_layer_full",
                                         "llava/sharded_biases_old_theta"),
                         models::CaseName);
INSTANTIATE_TEST_SUITE_P(LlavaNext, FamilyEngine,
                         testing::Values("llava_next/vicuna", "llava_next/mistral",
                                         "llava_next/many_pictures", "llava_next/one_tile_odd_sides"),
                         models::CaseName);
INSTANTIATE_TEST_SUITE_P(Qwen2Vl, FamilyEngine,
                         testing::Values("qwen2_vl/nested", "qwen2_vl/flat", "qwen2_vl/many_pictures"),
                         models::CaseName);

}  // namespace
}  // namespace rein::rollout
