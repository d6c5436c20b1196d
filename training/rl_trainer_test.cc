#include "training/rl_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "training/image_encoder.h"
#include "training/sequence_forward.h"
#include "training/supervised_loss.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kTemperature = 0.7;
constexpr int64_t kLargeMicroBatch = 4096;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

at::Tensor TensorNamed(const models::VisionLanguageModel& model, const std::string& suffix) {
  for (const auto& [name, value] : model.tensors()) {
    if (name.ends_with(suffix)) return value;
  }
  ADD_FAILURE() << "no tensor ends with " << suffix;
  return {};
}

void Fill(const models::VisionLanguageModel& model, const std::string& suffix, double value) {
  const c10::NoGradGuard no_grad;
  TensorNamed(model, suffix).fill_(value);
}

// Three prompts, the first two samples share one picture, the last has none.
std::vector<Sequence> Sequences() {
  const auto first = TinyPicture(1), second = TinyPicture(2);
  return {TinySequence("a", 1, 4, first), TinySequence("b", 2, 1, first), TinySequence("c", 3, 7, second),
          TinySequence("d", 4, 5, nullptr)};
}

// Hidden states of one sequence alone, all tokens: [T, hidden].
at::Tensor HiddenAlone(models::VisionLanguageModel& model, const Sequence& sequence) {
  models::PackedInput input;
  std::vector<int64_t> tokens(sequence.prompt.begin(), sequence.prompt.end());
  tokens.insert(tokens.end(), sequence.response.begin(), sequence.response.end());
  input.token_ids = at::tensor(tokens, at::kLong);
  input.cu_seqlens = {0, static_cast<int64_t>(tokens.size())};
  if (!sequence.images.empty()) input.images = model.EncodeImages({*sequence.images[0]});
  const absl::StatusOr<at::Tensor> hidden = model.Forward(input);
  EXPECT_TRUE(hidden.ok()) << hidden.status();
  return *hidden;
}

// Plain formula: log softmax of the allowed logits at the temperature.
std::vector<float> LogProbsAlone(models::VisionLanguageModel& model, const Sequence& sequence) {
  const c10::NoGradGuard no_grad;
  const int64_t first = static_cast<int64_t>(sequence.prompt.size()) - 1;
  const at::Tensor hidden = HiddenAlone(model, sequence).slice(0, first, -1);
  const at::Tensor logits = (model.Logits(hidden) / kTemperature)
                                .masked_fill(TinyAllowed().logical_not(), -INFINITY)
                                .to(at::kDouble);
  std::vector<float> result;
  for (size_t i = 0; i < sequence.response.size(); ++i) {
    result.push_back(
        at::log_softmax(logits, -1)[static_cast<int64_t>(i)][sequence.response[i]].item<float>());
  }
  return result;
}

TEST(ResponseLogProbs, MatchThePlainFormulaHoweverTheyArePacked) {
  const auto model = MakeTinyModel("model");
  const std::vector<Sequence> sequences = Sequences();
  for (const int64_t micro_batch : {int64_t{1}, int64_t{30}, kLargeMicroBatch}) {
    const auto result = ResponseLogProbs(*model, sequences, kTemperature, TinyAllowed(), micro_batch);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->size(), sequences.size());
    for (size_t i = 0; i < sequences.size(); ++i) {
      EXPECT_THAT((*result)[i],
                  ::testing::Pointwise(::testing::FloatNear(2e-5f), LogProbsAlone(*model, sequences[i])));
    }
  }
}

TEST(ResponseLogProbs, RefuseWhatCannotHaveBeenSampled) {
  const auto model = MakeTinyModel("model");
  std::vector<Sequence> sequences = Sequences();
  sequences[2].response[1] = kTinyImage;
  const auto placeholder = ResponseLogProbs(*model, sequences, 1, TinyAllowed(), kLargeMicroBatch);
  EXPECT_EQ(placeholder.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(placeholder.status().message(), AllOf(HasSubstr("'c'"), HasSubstr("258")));
  sequences[2].response = {};
  EXPECT_THAT(ResponseLogProbs(*model, sequences, 1, TinyAllowed(), kLargeMicroBatch).status().message(),
              HasSubstr("no token"));
  sequences[2].response = {100000};
  EXPECT_THAT(ResponseLogProbs(*model, sequences, 1, {}, kLargeMicroBatch).status().message(),
              HasSubstr("outside the vocabulary"));
}

TEST(ResponseLogProbs, OfNothingAreNothing) {
  const auto model = MakeTinyModel("model");
  const auto result = ResponseLogProbs(*model, {}, 1, TinyAllowed(), kLargeMicroBatch);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->empty());
}

TEST(EndScores, AreReadAtTheLastResponseToken) {
  const auto model = MakeTinyModel("model");
  model->AddScoreHead(5);
  const std::vector<Sequence> sequences = Sequences();
  const auto scores = EndScores(*model, sequences, 20);
  ASSERT_TRUE(scores.ok()) << scores.status();
  for (size_t i = 0; i < sequences.size(); ++i) {
    const c10::NoGradGuard no_grad;
    const at::Tensor alone = model->Scores(HiddenAlone(*model, sequences[i]));
    EXPECT_NEAR((*scores)[i], alone[-1].item<float>(), 1e-5);
  }
}

TEST(EndScores, NeedAScoreHead) {
  const auto model = MakeTinyModel("model");
  EXPECT_EQ(EndScores(*model, Sequences(), 20).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ResponseValues, AreThoseBeforeEachTokenIsEmitted) {
  const auto model = MakeTinyModel("model");
  model->AddScoreHead(5);
  const std::vector<Sequence> sequences = Sequences();
  const auto values = ResponseValues(*model, sequences, 20);
  ASSERT_TRUE(values.ok()) << values.status();
  for (size_t i = 0; i < sequences.size(); ++i) {
    const c10::NoGradGuard no_grad;
    const at::Tensor alone = model->Scores(HiddenAlone(*model, sequences[i]));
    const int64_t first = static_cast<int64_t>(sequences[i].prompt.size()) - 1;
    ASSERT_EQ((*values)[i].size(), sequences[i].response.size());
    for (size_t t = 0; t < sequences[i].response.size(); ++t) {
      EXPECT_NEAR((*values)[i][t], alone[first + static_cast<int64_t>(t)].item<float>(), 1e-5);
    }
  }
}

TEST(ImageEncoder, EncodesASharedPictureOnceAndKeepsItWhereItCannotChange) {
  const auto model = MakeTinyModel("model");
  std::vector<Sequence> sequences = Sequences();
  std::vector<const Sequence*> pointers;
  for (const Sequence& sequence : sequences) pointers.push_back(&sequence);
  ImageEncoder fresh(model.get(), /*reuse=*/false), keeping(model.get(), /*reuse=*/true);
  for (ImageEncoder* encoder : {&fresh, &keeping}) {
    EXPECT_EQ(encoder->Encode(pointers).size(), 3u);
    EXPECT_EQ(encoder->encoded(), 2);
    EXPECT_EQ(encoder->Encode(pointers).size(), 3u);
  }
  EXPECT_EQ(fresh.encoded(), 4);
  EXPECT_EQ(keeping.encoded(), 2);
}

TEST(ImageEncoder, ForgetsReleasedPicturesAndTheOldestBeyondItsBound) {
  const auto model = MakeTinyModel("model");
  const int64_t one = kTinyPlaceholders * 32 * 4;
  ImageEncoder encoder(model.get(), /*reuse=*/true, 2 * one);
  const auto encode = [&](const Sequence& sequence) {
    const Sequence* pointer = &sequence;
    return encoder.Encode({&pointer, 1});
  };
  const Sequence a = TinySequence("a", 1, 1, TinyPicture(1));
  {
    const Sequence released = TinySequence("b", 2, 1, TinyPicture(2));
    encode(a);
    encode(released);
    EXPECT_EQ(encoder.cached_bytes(), 2 * one);
  }
  const Sequence c = TinySequence("c", 3, 1, TinyPicture(3)), d = TinySequence("d", 4, 1, TinyPicture(4));
  encode(c);
  EXPECT_EQ(encoder.cached_bytes(), 2 * one);
  encode(a);
  EXPECT_EQ(encoder.encoded(), 3);  // a was kept, the released one made room
  encode(d);
  encode(a);
  EXPECT_EQ(encoder.encoded(), 5);  // a was the oldest
}

// Steps are as large as gradients: with these options the first step moves a weight by g / (|g| + 1).
OptimizerOptions GradientSized() {
  OptimizerOptions options;
  options.learning_rate = 1;
  options.warmup_ratio = 0;
  options.epsilon = 1;
  options.gradient_clip = 0;
  return options;
}

PolicyOptions PolicyWith(const OptimizerOptions& optimizer) {
  PolicyOptions options;
  options.optimizer = optimizer;
  options.temperature = kTemperature;
  return options;
}

// Weights 1 / (B L), advantages from the position, behaviour as given or that of the model itself.
std::vector<PolicySequence> PolicyBatch(models::VisionLanguageModel& model) {
  const std::vector<Sequence> sequences = Sequences();
  const auto logprobs = ResponseLogProbs(model, sequences, kTemperature, TinyAllowed(), kLargeMicroBatch);
  EXPECT_TRUE(logprobs.ok()) << logprobs.status();
  std::vector<PolicySequence> batch;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const size_t length = sequences[i].response.size();
    PolicySequence item{
        sequences[i], (*logprobs)[i], {}, 1.0 / static_cast<double>(sequences.size() * length)};
    for (size_t t = 0; t < length; ++t) item.advantages.push_back(std::sin(static_cast<float>(10 * i + t)));
    batch.push_back(item);
  }
  return batch;
}

std::unique_ptr<PolicyTrainer> MakePolicyTrainer(models::VisionLanguageModel& model,
                                                 const PolicyOptions& options) {
  auto trainer = PolicyTrainer::Create(&model, TinyAllowed(), options);
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  return *std::move(trainer);
}

TEST(PolicyTrainer, UniformPolicyGivesTheGoldenLoss) {
  const auto model = MakeTinyModel("model");
  Fill(*model, "lm_head.weight", 0);
  const double logp = -std::log(257.0);  // bytes and the end token
  std::vector<PolicySequence> batch = {{TinySequence("a", 1, 4, TinyPicture(1)), {}, {}, 0.25}};
  batch[0].behaviour_logprobs = std::vector<float>(4, static_cast<float>(logp));
  batch[0].advantages = {.566265955f, .75339f, .714381818f, .559636364f};
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(GradientSized()));
  const absl::StatusOr<Metrics> metrics = trainer->Step(batch, {}, 10, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_NEAR(metrics->at("loss"), -0.64841853425, 1e-6);
  EXPECT_NEAR(metrics->at("entropy"), -logp, 1e-5);
  EXPECT_NEAR(metrics->at("logprob_gap_max"), 0, 1e-5);
  EXPECT_NEAR(metrics->at("approx_kl"), 0, 1e-6);
  EXPECT_EQ(metrics->at("clip_fraction"), 0);
  EXPECT_EQ(metrics->at("tokens"), 4);
  EXPECT_EQ(metrics->at("ptx_loss"), 0);
}

TEST(PolicyTrainer, CorrectsForTheRolloutUpToTheCapAndReportsTheGap) {
  const auto model = MakeTinyModel("model");
  Fill(*model, "lm_head.weight", 0);
  const float logp = -std::log(257.0f);
  std::vector<PolicySequence> batch = {{TinySequence("a", 1, 2, TinyPicture(1)), {}, {1, 1}, 0.5}};
  batch[0].behaviour_logprobs = {logp + 0.5f, logp - 3};
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(GradientSized()));
  const absl::StatusOr<Metrics> metrics = trainer->Step(batch, {}, 10, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_NEAR(metrics->at("loss"), -(std::exp(-0.5) + 2) / 2, 1e-5);
  EXPECT_NEAR(metrics->at("logprob_gap_mean"), 1.75, 1e-5);
  EXPECT_NEAR(metrics->at("logprob_gap_max"), 3, 1e-5);
  EXPECT_EQ(metrics->at("clip_fraction"), 1);
}

TEST(PolicyTrainer, MovesAlongTheGradientOfTheLogProbabilities) {
  const auto model = MakeTinyModel("model"), plain = MakeTinyModel("plain");
  const std::vector<PolicySequence> batch = PolicyBatch(*model);
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(GradientSized()));
  ASSERT_TRUE(trainer->Step(batch, {}, 10, nullptr).ok());

  at::Tensor loss = at::zeros({});
  for (const auto& [name, value] : plain->tensors()) value.requires_grad_(true);
  for (const PolicySequence& item : batch) {
    const Sequence& sequence = item.sequence;
    const at::Tensor hidden =
        HiddenAlone(*plain, sequence).slice(0, static_cast<int64_t>(sequence.prompt.size()) - 1, -1);
    const at::Tensor logits =
        (plain->Logits(hidden) / kTemperature).masked_fill(TinyAllowed().logical_not(), -INFINITY);
    const at::Tensor targets =
        at::tensor(std::vector<int64_t>(sequence.response.begin(), sequence.response.end()));
    const at::Tensor logprob = at::log_softmax(logits, -1).gather(1, targets.unsqueeze(1)).squeeze(1);
    loss = loss - (logprob * at::tensor(item.advantages)).sum() * item.token_weight;
  }
  loss.backward();
  for (size_t i = 0; i < plain->tensors().size(); ++i) {
    const at::Tensor& before = plain->tensors()[i].second;
    if (!before.grad().defined()) continue;
    const at::Tensor expected = before.detach() - before.grad() / (before.grad().abs() + 1);
    EXPECT_TRUE(at::allclose(model->tensors()[i].second, expected, 1e-5, 2e-6)) << plain->tensors()[i].first;
  }
}

TEST(PolicyTrainer, PackingDoesNotChangeTheStep) {
  std::vector<models::NamedTensors> results;
  for (const int64_t micro_batch : {int64_t{1}, int64_t{30}, kLargeMicroBatch}) {
    const auto model = MakeTinyModel(absl::StrCat("model", micro_batch));
    OptimizerOptions optimizer = GradientSized();
    optimizer.micro_batch_tokens = micro_batch;
    const auto trainer = MakePolicyTrainer(*model, PolicyWith(optimizer));
    ASSERT_TRUE(trainer->Step(PolicyBatch(*model), {}, 10, nullptr).ok());
    results.push_back(CopyTensors(*model));
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::allclose(results[0][i].second, results[2][i].second, 0, 1e-6)) << results[0][i].first;
    EXPECT_TRUE(at::allclose(results[1][i].second, results[2][i].second, 0, 1e-6)) << results[0][i].first;
  }
}

TEST(PolicyTrainer, AveragesActorAndWeightedSupervisedGradients) {
  const auto model = MakeTinyModel("model"), plain = MakeTinyModel("plain");
  std::vector<PolicySequence> batch = PolicyBatch(*model);
  for (PolicySequence& item : batch) std::fill(item.advantages.begin(), item.advantages.end(), 0.0f);
  const std::vector<SupervisedSequence> ptx = {{TinySequence("p", 7, 3, TinyPicture(7))},
                                               {TinySequence("q", 8, 6, nullptr)}};
  PolicyOptions options = PolicyWith(GradientSized());
  options.ptx_coefficient = 3;
  const auto trainer = MakePolicyTrainer(*model, options);
  const absl::StatusOr<Metrics> metrics = trainer->Step(batch, ptx, 10, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();

  for (const auto& [name, value] : plain->tensors()) value.requires_grad_(true);
  SequenceForward forward(plain.get(), false);
  const absl::StatusOr<at::Tensor> loss =
      SupervisedLoss(forward, SequencesOf(absl::MakeConstSpan(ptx))).loss(0, ptx.size());
  ASSERT_TRUE(loss.ok());
  loss->backward();
  EXPECT_NEAR(metrics->at("ptx_loss"), loss->item<double>(), 1e-5);
  const at::Tensor before = TensorNamed(*plain, "lm_head.weight");
  const at::Tensor gradient = 1.5 * before.grad();
  EXPECT_TRUE(at::allclose(TensorNamed(*model, "lm_head.weight"),
                           before.detach() - gradient / (gradient.abs() + 1), 0, 2e-6));
}

TEST(PolicyTrainer, FrozenPartsDoNotMove) {
  const auto model = MakeTinyModel("model");
  const models::NamedTensors before = CopyTensors(*model);
  PolicyOptions options = PolicyWith(GradientSized());
  options.freeze = {"vision", "projector"};
  const auto trainer = MakePolicyTrainer(*model, options);
  ASSERT_TRUE(trainer->Step(PolicyBatch(*model), {}, 10, nullptr).ok());
  for (size_t i = 0; i < before.size(); ++i) {
    const std::string part = model->PartOf(before[i].first);
    EXPECT_EQ(at::equal(before[i].second, model->tensors()[i].second), part != "language") << before[i].first;
  }
}

TEST(PolicyTrainer, RefusesAFreezeEntryThatMatchesNothing) {
  const auto model = MakeTinyModel("model");
  PolicyOptions options = PolicyWith(GradientSized());
  options.freeze = {"visoin"};
  const auto trainer = PolicyTrainer::Create(model.get(), TinyAllowed(), options);
  EXPECT_EQ(trainer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(trainer.status().message(), HasSubstr("visoin"));
  options.freeze = {"vision", "projector", "language"};
  EXPECT_THAT(PolicyTrainer::Create(model.get(), TinyAllowed(), options).status().message(),
              HasSubstr("no parameter to train"));
}

TEST(PolicyTrainer, RefusesATemperatureOfZero) {
  const auto model = MakeTinyModel("model");
  PolicyOptions options = PolicyWith(GradientSized());
  options.temperature = 0;
  EXPECT_EQ(PolicyTrainer::Create(model.get(), TinyAllowed(), options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PolicyTrainer, RefusesLengthsThatDisagree) {
  const auto model = MakeTinyModel("model");
  std::vector<PolicySequence> batch = PolicyBatch(*model);
  batch[1].advantages.push_back(0);
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(GradientSized()));
  const absl::Status status = trainer->Step(batch, {}, 10, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("'b'"), HasSubstr("2 advantages for 1")));
  EXPECT_EQ(trainer->Step({}, {}, 10, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

// Expects DATA_LOSS that names `culprits` and nobody else, and neither weights nor optimizer touched.
void ExpectBlamed(models::VisionLanguageModel& model, const std::vector<PolicySequence>& batch,
                  const std::string& culprits) {
  const auto trainer = MakePolicyTrainer(model, PolicyWith(GradientSized()));
  const models::NamedTensors before = CopyTensors(model);
  const absl::Status status = trainer->Step(batch, {}, 10, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(status.message(), HasSubstr("caused by " + culprits + ".")) << status;
  EXPECT_TRUE(SameTensors(before, CopyTensors(model)));
  EXPECT_EQ(trainer->optimizer().steps(), 0);
  for (const auto& [name, value] : trainer->optimizer().parameters())
    EXPECT_FALSE(value.grad().defined()) << name;
}

TEST(PolicyTrainer, NamesSamplesWithAdvantagesThatAreNotFinite) {
  const auto model = MakeTinyModel("model");
  std::vector<PolicySequence> batch = PolicyBatch(*model);
  for (PolicySequence& item : batch) item.advantages[0] = kNan;
  ExpectBlamed(*model, batch, "a, b, c and 1 more");
}

TEST(PolicyTrainer, NamesTheSampleWhosePictureMakesTheLossNotFinite) {
  const auto model = MakeTinyModel("model");
  std::vector<PolicySequence> batch = PolicyBatch(*model);
  auto broken = std::make_shared<models::ProcessedImage>(*TinyPicture(2));
  broken->pixels = at::full_like(broken->pixels, kNan);
  batch[2].sequence.images = {broken};
  ExpectBlamed(*model, batch, "c");
}

TEST(PolicyTrainer, NamesTheSampleWhoseGradientOverflows) {
  const auto model = MakeTinyModel("model");
  std::vector<PolicySequence> batch = PolicyBatch(*model);
  batch[3].advantages.assign(batch[3].advantages.size(), 1e38f);
  ExpectBlamed(*model, batch, "d");
}

TEST(PolicyTrainer, TrainsOnAsBeforeAfterARefusedStep) {
  const auto model = MakeTinyModel("model"), undisturbed = MakeTinyModel("undisturbed");
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(GradientSized()));
  const auto other = MakePolicyTrainer(*undisturbed, PolicyWith(GradientSized()));
  const std::vector<PolicySequence> batch = PolicyBatch(*model);
  std::vector<PolicySequence> broken = batch;
  broken[0].sequence.images = {std::make_shared<models::ProcessedImage>(*TinyPicture(1))};
  std::const_pointer_cast<models::ProcessedImage>(broken[0].sequence.images[0])->pixels =
      at::full({1, 3, 8, 8}, kNan);
  ASSERT_FALSE(trainer->Step(broken, {}, 10, nullptr).ok());
  ASSERT_TRUE(trainer->Step(batch, {}, 10, nullptr).ok());
  ASSERT_TRUE(other->Step(batch, {}, 10, nullptr).ok());
  EXPECT_TRUE(SameTensors(CopyTensors(*model), CopyTensors(*undisturbed)));
}

TEST(PolicyTrainer, ContinuesBitForBitFromSavedState) {
  OptimizerOptions optimizer;
  optimizer.learning_rate = 1e-2;
  optimizer.schedule = OptimizerOptions::Schedule::kCosine;
  const std::filesystem::path file = FreshFolder("state") / "optimizer.safetensors";
  const auto straight = MakeTinyModel("straight"), resumed = MakeTinyModel("resumed", 2);
  const std::vector<PolicySequence> batch = PolicyBatch(*straight);
  const auto trainer = MakePolicyTrainer(*straight, PolicyWith(optimizer));
  for (int step = 0; step < 2; ++step) ASSERT_TRUE(trainer->Step(batch, {}, 4, nullptr).ok());
  ASSERT_EQ(trainer->optimizer().Save(file), absl::OkStatus());
  const auto continued = MakePolicyTrainer(*resumed, PolicyWith(optimizer));
  for (size_t i = 0; i < straight->tensors().size(); ++i) {
    const c10::NoGradGuard no_grad;
    resumed->tensors()[i].second.copy_(straight->tensors()[i].second);
  }
  ASSERT_EQ(continued->optimizer().Load(file), absl::OkStatus());
  for (int step = 2; step < 4; ++step) {
    ASSERT_TRUE(trainer->Step(batch, {}, 4, nullptr).ok());
    ASSERT_TRUE(continued->Step(batch, {}, 4, nullptr).ok());
  }
  EXPECT_TRUE(SameTensors(CopyTensors(*straight), CopyTensors(*resumed)));
}

TEST(PolicyTrainer, ReportsProgressByMicroBatch) {
  const auto model = MakeTinyModel("model");
  OptimizerOptions optimizer = GradientSized();
  optimizer.micro_batch_tokens = 1;
  const auto trainer = MakePolicyTrainer(*model, PolicyWith(optimizer));
  std::vector<std::pair<int, int>> seen;
  const std::vector<SupervisedSequence> ptx = {{TinySequence("p", 7, 3, nullptr)}};
  ASSERT_TRUE(
      trainer
          ->Step(PolicyBatch(*model), ptx, 10, [&](int done, int total) { seen.emplace_back(done, total); })
          .ok());
  EXPECT_THAT(
      seen, ElementsAre(std::pair(1, 5), std::pair(2, 5), std::pair(3, 5), std::pair(4, 5), std::pair(5, 5)));
}

CriticOptions CriticWith(const OptimizerOptions& optimizer) {
  CriticOptions options;
  options.optimizer = optimizer;
  return options;
}

TEST(CriticTrainer, ConstantValuesGiveTheGoldenLoss) {
  const auto model = MakeTinyModel("model");
  model->AddScoreHead(1);
  Fill(*model, "score_head.weight", 0);  // V = 0 everywhere
  std::vector<CriticSequence> batch(2);
  batch[0] = {TinySequence("a", 1, 2, TinyPicture(1)), {0.5f, 7}, {1, 3}, 0.25};
  batch[1] = {TinySequence("b", 2, 1, nullptr), {0}, {-2}, 0.5};
  const auto trainer = CriticTrainer::Create(model.get(), CriticWith(GradientSized()));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const absl::StatusOr<Metrics> metrics = (*trainer)->Step(batch, 10, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  // Tokens: 0.5 * 1, 0.5 * max(9, (2 - 3)^2), 0.5 * 4; the mean over rows of the mean over tokens.
  EXPECT_NEAR(metrics->at("loss"), ((0.5 + 4.5) / 2 + 2) / 2, 1e-6);
  EXPECT_NEAR(metrics->at("explained_variance"), 0, 1e-9);
  EXPECT_EQ(metrics->at("tokens"), 3);
}

TEST(CriticTrainer, LearnsConstantReturns) {
  const auto model = MakeTinyModel("model");
  model->AddScoreHead(1);
  OptimizerOptions optimizer;
  optimizer.learning_rate = 1e-2;
  const auto trainer = CriticTrainer::Create(model.get(), CriticWith(optimizer));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  std::vector<CriticSequence> batch;
  for (const Sequence& sequence : Sequences()) {
    const size_t length = sequence.response.size();
    batch.push_back({sequence, std::vector<float>(length, 0),
                     std::vector<float>(length, sequence.id == "a" ? 1 : -1),
                     1.0 / static_cast<double>(4 * length)});
  }
  Metrics last;
  for (int step = 0; step < 60; ++step) {
    const absl::StatusOr<Metrics> metrics = (*trainer)->Step(batch, 60, nullptr);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    last = *metrics;
  }
  EXPECT_LT(last.at("loss"), 0.02);
  EXPECT_GT(last.at("explained_variance"), 0.9);
}

TEST(CriticTrainer, NeedsAScoreHeadAndFiniteReturns) {
  const auto model = MakeTinyModel("model");
  EXPECT_EQ(CriticTrainer::Create(model.get(), CriticWith(GradientSized())).status().code(),
            absl::StatusCode::kInvalidArgument);
  model->AddScoreHead(1);
  const auto trainer = CriticTrainer::Create(model.get(), CriticWith(GradientSized()));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const std::vector<CriticSequence> batch = {{TinySequence("a", 1, 1, nullptr), {0}, {kNan}, 0.5},
                                             {TinySequence("b", 2, 1, nullptr), {0}, {1}, 0.5}};
  const absl::Status status = (*trainer)->Step(batch, 10, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("caused by a."), Not(HasSubstr("b,"))));
}

}  // namespace
}  // namespace rein::training
