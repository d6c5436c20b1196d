// For tests: a model whose next token depends on every token before it, exactly, however it is computed. It
// has only what its cache holds: a wrong block shows at once.
#pragma once

#include <ATen/ATen.h>

#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "models/processor.h"
#include "models/vision_language_model.h"

namespace rein::rollout {

inline constexpr int64_t kVocab = 40;
inline constexpr int32_t kEnd = 1;
inline constexpr int32_t kPlaceholder = 2;
inline constexpr int32_t kPadding = 3;

class FakeModel : public models::VisionLanguageModel {
 public:
  FakeModel() {
    shape_ = {.family = "fake",
              .vocab_size = kVocab,
              .hidden = 4,
              .layers = 2,
              .heads = 1,
              .kv_heads = 1,
              .head_dim = 1,
              .max_positions = 200,
              .image_token_id = kPlaceholder};
    tensors_.emplace_back("salt", at::zeros({1}));
  }

  // The weights: other ones give other answers.
  void SetSalt(float salt) { tensors_[0].second.fill_(salt); }
  void SetBroken(bool broken) { broken_ = broken; }
  void SetEndLogit(double logit) { end_logit_ = logit; }
  int64_t tokens_computed() const { return tokens_computed_; }
  int64_t pictures_encoded() const { return pictures_encoded_; }

  const models::ModelShape& shape() const override { return shape_; }

  std::vector<models::ImageFeatures> EncodeImages(absl::Span<const models::ProcessedImage> images) override {
    std::vector<models::ImageFeatures> features;
    for (const models::ProcessedImage& image : images) {
      features.push_back({.features = image.pixels.reshape({image.feature_count, 1})});
      ++pictures_encoded_;
    }
    return features;
  }

  absl::StatusOr<at::Tensor> Forward(const models::PackedInput&) override {
    return absl::UnimplementedError("only cached");
  }

  absl::StatusOr<at::Tensor> ForwardCached(const models::CachedInput& input,
                                           models::KvCache& cache) override {
    const at::Tensor hidden = at::empty({input.token_ids.numel(), 4});
    const int64_t* ids = input.token_ids.const_data_ptr<int64_t>();
    float* slots[2] = {cache.keys(0).data_ptr<float>(), cache.values(1).data_ptr<float>()};
    size_t image = 0;
    int64_t feature = 0, row = 0;
    for (const auto& sequence : input.sequences) {
      const auto slot = [&](int64_t i) {
        return sequence.block_table.at(i / cache.shape().block_tokens) * cache.shape().block_tokens +
               i % cache.shape().block_tokens;
      };
      for (int64_t i = 0; i < sequence.new_tokens; ++i, ++row) {
        auto value = static_cast<float>(ids[row]);
        if (ids[row] == kPlaceholder) {
          const at::Tensor& features = input.images.at(image).features;
          value = 1000 + features[feature].item<float>();
          if (++feature == features.size(0)) ++image, feature = 0;
        }
        for (float* layer : slots) layer[slot(sequence.past_tokens + i)] = value;
        uint64_t hash = static_cast<uint64_t>(tensors_[0].second.item<float>() * 1024);
        for (int64_t j = 0; j <= sequence.past_tokens + i; ++j) {
          for (const float* layer : slots) hash = Mix64(hash ^ static_cast<uint64_t>(layer[slot(j)] * 16));
        }
        for (int64_t j = 0; j < 4; ++j) hidden[row][j] = static_cast<double>((hash >> (16 * j)) & 0xffff);
      }
    }
    tokens_computed_ += input.token_ids.numel();
    return hidden;
  }

  at::Tensor Logits(const at::Tensor& hidden) override {
    const at::Tensor logits = at::empty({hidden.size(0), kVocab});
    for (int64_t i = 0; i < hidden.size(0); ++i) {
      uint64_t hash = 0;
      for (int64_t j = 0; j < 4; ++j) hash |= static_cast<uint64_t>(hidden[i][j].item<float>()) << (16 * j);
      for (int64_t v = 0; v < kVocab; ++v) logits[i][v] = 4 * UniformFromBits(RandomBits(hash, v));
      logits[i][kEnd] = end_logit_;
      // Whoever forgets the mask samples these.
      logits[i][kPlaceholder] = 9;
      logits[i][kPadding] = 9;
    }
    if (broken_) logits.fill_(std::numeric_limits<float>::quiet_NaN());
    return logits;
  }

  at::Tensor Scores(const at::Tensor&) override { return {}; }
  const models::NamedTensors& tensors() const override { return tensors_; }
  std::string PartOf(const std::string&) const override { return "language"; }
  void AddScoreHead(uint64_t) override {}
  const std::filesystem::path& source() const override { return source_; }

 private:
  models::ModelShape shape_;
  models::NamedTensors tensors_;
  std::filesystem::path source_;
  bool broken_ = false;
  double end_logit_ = 2;
  int64_t tokens_computed_ = 0;
  int64_t pictures_encoded_ = 0;
};

class FakeProcessor : public models::Processor {
 public:
  absl::StatusOr<models::ProcessedImage> ProcessImage(const data::RgbImage&) const override {
    return absl::UnimplementedError("not needed");
  }
  absl::StatusOr<std::vector<int32_t>> EncodePrompt(absl::string_view,
                                                    absl::Span<const models::ProcessedImage>) const override {
    return absl::UnimplementedError("not needed");
  }
  absl::StatusOr<std::vector<int32_t>> EncodeRaw(absl::string_view,
                                                 absl::Span<const models::ProcessedImage>) const override {
    return absl::UnimplementedError("not needed");
  }
  std::vector<int32_t> EncodeResponse(absl::string_view) const override { return {}; }
  std::string Decode(absl::Span<const int32_t>) const override { return ""; }
  const std::vector<int32_t>& end_tokens() const override { return end_tokens_; }
  at::Tensor AllowedTokens(int64_t vocab_size) const override {
    at::Tensor allowed = at::ones({vocab_size}, at::kBool);
    allowed[kPadding] = false;
    return allowed;
  }
  int64_t tokenizer_size() const override { return 0; }
  const std::string& tokenizer_digest() const override { return digest_; }

 private:
  std::vector<int32_t> end_tokens_ = {kEnd};
  std::string digest_ = "fake";
};

}  // namespace rein::rollout
