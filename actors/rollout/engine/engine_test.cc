#include "actors/rollout/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "actors/rollout/engine/fake_model.h"
#include "actors/rollout/engine/random_stream.h"
#include "kernels/ops.h"

namespace rein::rollout {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

using Samples = std::map<std::string, GeneratedSample>;

std::string Id(const GeneratedSample& sample) { return absl::StrCat(sample.prompt_id, "/", sample.sample); }

GenerationRequest Request(const std::string& id, std::vector<int32_t> tokens, int samples = 1) {
  GenerationRequest request;
  request.prompt_id = id;
  request.prompt_tokens = std::move(tokens);
  for (int i = 0; i < samples; ++i) request.samples.push_back(i);
  request.params.max_response_tokens = 20;
  request.params.seed = 7;
  return request;
}

// Prompts of 3 to 3 + count - 1 tokens.
std::vector<GenerationRequest> Requests(int count, int samples) {
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < count; ++i) {
    std::vector<int32_t> tokens;
    for (int j = 0; j < 3 + i; ++j) tokens.push_back(4 + (i * 5 + j * 7) % 30);
    requests.push_back(Request(absl::StrCat("p", i), tokens, samples));
  }
  return requests;
}

class EngineTest : public testing::Test {
 protected:
  std::unique_ptr<Engine> Make(const EngineOptions& options) {
    auto engine = Engine::Create(&model_, &processor_, options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return engine.ok() ? *std::move(engine) : nullptr;
  }
  std::unique_ptr<Engine> Make() { return Make({.max_batch = 64, .block_tokens = 4}); }
  // A cache of that many blocks of 4 tokens; one token takes 2 layers x 2 x 4 bytes.
  std::unique_ptr<Engine> MakeSmall(int64_t blocks) {
    return Make({.max_batch = 64, .block_tokens = 4, .cache_bytes = blocks * 4 * 16});
  }

  void Step(Engine& engine, Samples& samples) {
    const absl::Status status = engine.Step([&](GeneratedSample sample) {
      const std::string id = Id(sample);
      EXPECT_TRUE(samples.emplace(id, std::move(sample)).second) << id << " came twice";
    });
    ASSERT_EQ(status, absl::OkStatus());
  }
  void Finish(Engine& engine, Samples& samples) {
    for (int i = 0; i < 10000 && !engine.idle(); ++i) Step(engine, samples);
    ASSERT_TRUE(engine.idle());
    const EngineCounters counters = engine.counters();
    EXPECT_EQ(counters.free_blocks, counters.total_blocks) << "blocks leaked";
  }
  Samples Run(Engine& engine, const std::vector<GenerationRequest>& requests) {
    Samples samples;
    for (const GenerationRequest& request : requests) EXPECT_EQ(engine.Add(request), absl::OkStatus());
    Finish(engine, samples);
    return samples;
  }

  // The same without an engine: every token from the whole sequence, alone.
  GeneratedSample Reference(const GenerationRequest& request, int32_t sample) {
    GeneratedSample result{.prompt_id = request.prompt_id, .sample = sample};
    std::vector<int32_t> known = request.prompt_tokens;
    while (static_cast<int64_t>(result.tokens.size()) < request.params.max_response_tokens &&
           !result.stopped) {
      const auto drawn = DrawAfter(known, request, sample, result.tokens.size());
      result.tokens.push_back(static_cast<int32_t>(drawn.token[0].item<int64_t>()));
      result.logprobs.push_back(drawn.logprob[0].item<float>());
      known.push_back(result.tokens.back());
      result.stopped = known.back() == kEnd;
    }
    return result;
  }
  kernels::SampledTokens DrawAfter(const std::vector<int32_t>& known, const GenerationRequest& request,
                                   int32_t sample, size_t position) {
    models::KvCache cache = model_.MakeCache(1, 256);
    models::CachedInput input;
    input.token_ids = at::tensor(std::vector<int64_t>(known.begin(), known.end()), at::kLong);
    input.sequences.push_back(
        {.block_table = {0}, .past_tokens = 0, .new_tokens = static_cast<int64_t>(known.size())});
    input.images = model_.EncodeImages(request.images);
    const at::Tensor hidden = *model_.ForwardCached(input, cache);
    at::Tensor allowed = at::ones({kVocab}, at::kBool);
    allowed[kPlaceholder] = false;
    allowed[kPadding] = false;
    const uint64_t bits = RandomBits(StreamKey(request.params.seed, request.prompt_id, sample), position);
    return kernels::SampleTokens(model_.Logits(hidden.slice(0, -1)), request.params.temperature, allowed,
                                 at::tensor({static_cast<int64_t>(bits)}, at::kLong), request.params.top_p,
                                 request.params.top_k);
  }
  void ExpectAsReference(const Samples& samples, const std::vector<GenerationRequest>& requests) {
    size_t count = 0;
    for (const GenerationRequest& request : requests) {
      for (int32_t sample : request.samples) {
        ++count;
        const GeneratedSample expected = Reference(request, sample);
        ASSERT_TRUE(samples.contains(Id(expected))) << Id(expected);
        const GeneratedSample& found = samples.at(Id(expected));
        EXPECT_EQ(found.tokens, expected.tokens) << Id(expected);
        EXPECT_EQ(found.logprobs, expected.logprobs) << Id(expected);
        EXPECT_EQ(found.stopped, expected.stopped) << Id(expected);
      }
    }
    EXPECT_EQ(samples.size(), count);
  }
  void ExpectRefused(const GenerationRequest& request, const std::vector<std::string>& texts) {
    const auto engine = Make({.max_batch = 4,
                              .block_tokens = 4,
                              .cache_bytes = 0,
                              .max_prompt_tokens = 30,
                              .max_response_tokens = 20});
    const absl::Status status = engine->Add(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    for (const std::string& text : texts) EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    EXPECT_TRUE(engine->idle());
  }

  FakeModel model_;
  FakeProcessor processor_;
};

TEST_F(EngineTest, GivesWhatTheModelGivesWithoutACache) {
  const auto requests = Requests(9, 4);
  ExpectAsReference(Run(*Make(), requests), requests);
}

TEST_F(EngineTest, SamplesOfOnePromptDiffer) {
  const Samples samples = Run(*Make(), Requests(1, 4));
  EXPECT_NE(samples.at("p0/0").tokens, samples.at("p0/1").tokens);
  EXPECT_NE(samples.at("p0/1").tokens, samples.at("p0/2").tokens);
}

TEST_F(EngineTest, ComputesAPromptOnceForAllItsSamples) {
  const auto engine = Make();
  auto request = Request("p", std::vector<int32_t>(50, 5), 8);
  request.params.max_response_tokens = 1;
  const int64_t before = model_.tokens_computed();
  Run(*engine, {request});
  EXPECT_EQ(model_.tokens_computed() - before, 50);
  EXPECT_EQ(engine->counters().prefilled_tokens, 50);
  EXPECT_EQ(engine->counters().generated_tokens, 8);
}

TEST_F(EngineTest, ComputesAPromptOnceForMoreSamplesThanFitIntoABatch) {
  const auto engine = Make({.max_batch = 3, .block_tokens = 4});
  const auto requests = std::vector{Request("p", std::vector<int32_t>(50, 5), 8)};
  ExpectAsReference(Run(*engine, requests), requests);
  EXPECT_EQ(engine->counters().prefilled_tokens, 50);
}

TEST_F(EngineTest, TheSampleNumbersNotTheirCountMatter) {
  auto request = Requests(1, 4)[0];
  const Samples all = Run(*Make(), {request});
  request.samples = {2};
  const Samples one = Run(*Make(), {request});
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one.at("p0/2").tokens, all.at("p0/2").tokens);
}

TEST_F(EngineTest, SmallBatchesGiveTheSame) {
  const auto requests = Requests(9, 4);
  for (int64_t max_batch : {1, 2, 5}) {
    ExpectAsReference(Run(*Make({.max_batch = max_batch, .block_tokens = 4}), requests), requests);
  }
}

TEST_F(EngineTest, EveryBlockSizeGivesTheSame) {
  const auto requests = Requests(6, 3);
  for (int64_t block_tokens : {1, 3, 16, 64}) {
    ExpectAsReference(Run(*Make({.max_batch = 64, .block_tokens = block_tokens}), requests), requests);
  }
}

TEST_F(EngineTest, PreemptionGivesTheSame) {
  model_.SetEndLogit(-20);  // all run to the limit
  const auto requests = Requests(9, 4);
  for (int64_t blocks : {8, 9, 11, 20, 33}) {
    const auto engine = MakeSmall(blocks);
    ExpectAsReference(Run(*engine, requests), requests);
    if (blocks < 20) {
      EXPECT_GT(engine->counters().preempted, 0) << blocks;
    }
  }
}

TEST_F(EngineTest, RequestsThatComeWhileOthersRunGiveTheSame) {
  const auto requests = Requests(9, 2);
  const auto engine = MakeSmall(40);
  Samples samples;
  for (const GenerationRequest& request : requests) {
    ASSERT_EQ(engine->Add(request), absl::OkStatus());
    Step(*engine, samples);
    Step(*engine, samples);
  }
  Finish(*engine, samples);
  ExpectAsReference(samples, requests);
}

TEST_F(EngineTest, PicturesReachTheirPrompts) {
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 3; ++i) {
    auto request = Request(absl::StrCat("p", i), {5, kPlaceholder, kPlaceholder, kPlaceholder, 6}, 2);
    request.images = {{.pixels = at::tensor({i + 1.f, 2.f}), .feature_count = 2},
                      {.pixels = at::tensor({3.f}), .feature_count = 1}};
    requests.push_back(request);
  }
  const Samples samples = Run(*Make(), requests);
  EXPECT_EQ(model_.pictures_encoded(), 6);
  ExpectAsReference(samples, requests);
  EXPECT_NE(samples.at("p0/0").tokens, samples.at("p1/0").tokens);
}

TEST_F(EngineTest, NeverSamplesWhatIsMasked) {
  for (const auto& [id, sample] : Run(*Make(), Requests(8, 8))) {
    EXPECT_THAT(sample.tokens, Each(AllOf(Not(kPlaceholder), Not(kPadding)))) << id;
  }
}

TEST_F(EngineTest, GreedyTakesTheLargestAndAllSamplesAgree) {
  auto requests = Requests(3, 2);
  for (auto& request : requests) request.params.temperature = 0;
  const Samples samples = Run(*Make(), requests);
  ExpectAsReference(samples, requests);
  EXPECT_EQ(samples.at("p1/0").tokens, samples.at("p1/1").tokens);
}

TEST_F(EngineTest, RequestsOfDifferentSamplingRunTogether) {
  auto requests = Requests(6, 3);
  requests[1].params.temperature = 0;
  requests[2].params.temperature = 0.5;
  requests[3].params.top_k = 2;
  requests[4].params.top_p = 0.3;
  requests[5].params.max_response_tokens = 3;
  ExpectAsReference(Run(*Make(), requests), requests);
}

TEST_F(EngineTest, TopKOfOneIsGreedyWithTheLogProbabilityOfTheWholeDistribution) {
  auto greedy = Requests(1, 1)[0], top = greedy;
  greedy.params.temperature = 0;
  top.params.top_k = 1;
  const Samples a = Run(*Make(), {greedy}), b = Run(*Make(), {top});
  EXPECT_EQ(a.at("p0/0").tokens, b.at("p0/0").tokens);
  EXPECT_EQ(a.at("p0/0").logprobs, b.at("p0/0").logprobs);
  EXPECT_LT(b.at("p0/0").logprobs[0], -0.5);
}

TEST_F(EngineTest, StopsAtTheEndTokenAndKeepsIt) {
  model_.SetEndLogit(30);
  const Samples samples = Run(*Make(), Requests(1, 1));
  EXPECT_EQ(samples.at("p0/0").tokens, std::vector<int32_t>{kEnd});
  EXPECT_TRUE(samples.at("p0/0").stopped);
}

TEST_F(EngineTest, StopsAtTheLimit) {
  model_.SetEndLogit(-20);
  const Samples samples = Run(*Make(), Requests(1, 1));
  EXPECT_EQ(samples.at("p0/0").tokens.size(), 20u);
  EXPECT_FALSE(samples.at("p0/0").stopped);
}

TEST_F(EngineTest, NewWeightsTakeOverInTheMiddle) {
  model_.SetEndLogit(-20);
  const auto engine = Make();
  engine->WeightsChanged({.epoch = 3, .number = 1});
  auto request = Requests(1, 2)[0];
  Samples samples;
  ASSERT_EQ(engine->Add(request), absl::OkStatus());
  for (int i = 0; i < 5; ++i) Step(*engine, samples);
  model_.SetSalt(5);
  engine->WeightsChanged({.epoch = 3, .number = 2});
  Finish(*engine, samples);
  const GeneratedSample& sample = samples.at("p0/1");
  EXPECT_EQ(sample.first_version, (Version{3, 1}));
  EXPECT_EQ(sample.last_version, (Version{3, 2}));
  ASSERT_EQ(sample.tokens.size(), 20u);

  // The first 5 tokens are those of the old weights, and the rest is what the new weights make of them.
  model_.SetSalt(0);
  const std::vector<int32_t> old_tokens = Reference(request, 1).tokens;
  const std::vector<int32_t> start(sample.tokens.begin(), sample.tokens.begin() + 5);
  EXPECT_TRUE(std::equal(start.begin(), start.end(), old_tokens.begin()));
  model_.SetSalt(5);
  std::vector<int32_t> known = request.prompt_tokens;
  known.insert(known.end(), start.begin(), start.end());
  for (size_t position = 5; position < 20; ++position) {
    const auto drawn = DrawAfter(known, request, 1, position);
    EXPECT_EQ(sample.tokens[position], drawn.token[0].item<int64_t>());
    EXPECT_EQ(sample.logprobs[position], drawn.logprob[0].item<float>());
    known.push_back(sample.tokens[position]);
  }
}

TEST_F(EngineTest, ClearDropsEverythingAndTheEngineGoesOn) {
  const auto engine = MakeSmall(12);
  Samples samples;
  for (const auto& request : Requests(9, 4)) ASSERT_EQ(engine->Add(request), absl::OkStatus());
  for (int i = 0; i < 3; ++i) Step(*engine, samples);
  engine->Clear();
  EXPECT_TRUE(engine->idle());
  EXPECT_EQ(engine->counters().free_blocks, 12);
  const auto requests = Requests(2, 2);
  ExpectAsReference(Run(*engine, requests), requests);
}

TEST_F(EngineTest, CancelDropsOneRequestAndLeavesTheOthers) {
  auto requests = Requests(6, 4);
  for (size_t i = 0; i < requests.size(); ++i) requests[i].tag = i % 2;
  model_.SetEndLogit(-20);
  const auto engine = MakeSmall(30);  // some run, some wait
  Samples samples;
  for (const auto& request : requests) ASSERT_EQ(engine->Add(request), absl::OkStatus());
  for (int i = 0; i < 3; ++i) Step(*engine, samples);
  ASSERT_GT(engine->counters().running, 0);
  ASSERT_GT(engine->counters().waiting, 0);
  engine->Cancel(1);
  Finish(*engine, samples);
  ExpectAsReference(samples, {requests[0], requests[2], requests[4]});
}

TEST_F(EngineTest, BrokenWeightsAreAnErrorThatNamesTheSample) {
  model_.SetBroken(true);
  const auto engine = Make();
  ASSERT_EQ(engine->Add(Requests(1, 1)[0]), absl::OkStatus());
  const absl::Status status = engine->Step([](GeneratedSample) { FAIL(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("p0/0"));
  engine->Clear();
  model_.SetBroken(false);
  const auto requests = Requests(1, 1);
  ExpectAsReference(Run(*engine, requests), requests);
}

TEST_F(EngineTest, RefusesWhatItCannotTake) {
  const GenerationRequest good = Request("p", {5, 6, 7});
  auto bad = good;
  bad.prompt_tokens = {};
  ExpectRefused(bad, {"no tokens"});
  bad = good;
  bad.prompt_tokens = std::vector<int32_t>(31, 5);
  ExpectRefused(bad, {"31 tokens", "30 are allowed"});
  bad = good;
  bad.prompt_tokens = {5, 40};
  ExpectRefused(bad, {"token 40", "vocabulary of 40"});
  bad = good;
  bad.prompt_tokens = {5, -1};
  ExpectRefused(bad, {"token -1"});
  bad = good;
  bad.prompt_tokens = {5, kPlaceholder, 6};
  ExpectRefused(bad, {"1 image placeholders", "0 features"});
  bad = good;
  bad.images = {{.feature_count = 2}};
  ExpectRefused(bad, {"0 image placeholders", "2 features"});
  bad = good;
  bad.prompt_tokens = {kPlaceholder, 5, kPlaceholder};
  bad.images = {{.feature_count = 2}};
  ExpectRefused(bad, {"run of 1 image placeholders"});
  bad = good;
  bad.samples = {};
  ExpectRefused(bad, {"no samples"});
  bad = good;
  bad.samples = {1, 1};
  ExpectRefused(bad, {"sample 1", "twice"});
  bad = good;
  bad.samples = {-1};
  ExpectRefused(bad, {"sample -1"});
}

TEST_F(EngineTest, RefusesBadSamplingOptions) {
  const auto with = [](void (*change)(SamplingParams&)) {
    GenerationRequest request = Request("p", {5, 6, 7});
    change(request.params);
    return request;
  };
  ExpectRefused(with([](SamplingParams& p) { p.temperature = -1; }), {"temperature", "-1"});
  ExpectRefused(with([](SamplingParams& p) { p.temperature = std::nan(""); }), {"temperature"});
  ExpectRefused(with([](SamplingParams& p) { p.top_p = 0; }), {"top_p is 0"});
  ExpectRefused(with([](SamplingParams& p) { p.top_p = 1.5; }), {"top_p is 1.5"});
  ExpectRefused(with([](SamplingParams& p) { p.top_k = -2; }), {"top_k is -2"});
  ExpectRefused(with([](SamplingParams& p) { p.max_response_tokens = 0; }), {"max_response_tokens is 0"});
  ExpectRefused(with([](SamplingParams& p) { p.max_response_tokens = 21; }), {"21", "20"});
}

TEST_F(EngineTest, RefusesWhatTheModelOrTheCacheCannotHold) {
  auto request = Request("p", std::vector<int32_t>(190, 5));
  absl::Status status = Make()->Add(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("190 + 20 tokens, the model takes 200"));
  request.prompt_tokens.resize(13);
  status = MakeSmall(8)->Add(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("13 + 20 tokens, the KV cache holds 32"));
}

TEST_F(EngineTest, RefusesUselessOptions) {
  EXPECT_EQ(Engine::Create(&model_, &processor_, {.max_batch = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto tiny = Engine::Create(&model_, &processor_, {.cache_bytes = 3}).status();
  EXPECT_EQ(tiny.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tiny.message()), HasSubstr("3 bytes holds no block"));
}

TEST(RandomStream, DependsOnSeedPromptAndSample) {
  const uint64_t key = StreamKey(1, "p1", 2);
  EXPECT_NE(key, StreamKey(2, "p1", 2));
  EXPECT_NE(key, StreamKey(1, "p2", 2));
  EXPECT_NE(key, StreamKey(1, "p1", 3));
  EXPECT_NE(StreamKey(1, "p1", 12), StreamKey(1, "p11", 2));
}

}  // namespace
}  // namespace rein::rollout
