// For tests of every family: one small model and what transformers computes with it, see
// tests/fixtures/models/family.py.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "models/test_support.h"
#include "models/vision_language_model.h"

namespace rein::models {

struct FamilyCase {
  std::unique_ptr<VisionLanguageModel> model;
  std::map<std::string, at::Tensor> expected;
  std::vector<std::vector<ProcessedImage>> pictures;  // of each sequence
  PackedInput input;                                  // without images

  // `name`: folder of the family and of the case in it.
  explicit FamilyCase(const std::string& name, const LoadOptions& options = {}) {
    auto loaded = LoadModel(Fixture(name), options);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    model = *std::move(loaded);
    expected = ReadAsMap(Fixture(name) / "expected.safetensors");
    input.token_ids = expected.at("token_ids");
    input.cu_seqlens = {0};
    for (int64_t length : Values("lengths")) input.cu_seqlens.push_back(input.cu_seqlens.back() + length);
    const std::vector<ProcessedImage> all = ReadPictures();
    auto next = all.begin();
    for (int64_t count : Values("pictures")) {
      pictures.emplace_back(next, next + count);
      next += count;
    }
  }

  std::vector<int64_t> Values(const std::string& name) const {
    const at::Tensor values = expected.at(name).contiguous();
    return {values.const_data_ptr<int64_t>(), values.const_data_ptr<int64_t>() + values.numel()};
  }

  std::vector<ProcessedImage> AllPictures() const {
    std::vector<ProcessedImage> all;
    for (const auto& some : pictures) all.insert(all.end(), some.begin(), some.end());
    return all;
  }

  PackedInput WithImages() const {
    PackedInput with = input;
    with.images = model->EncodeImages(AllPictures());
    return with;
  }

  // One sequence alone.
  PackedInput Single(size_t index) const {
    PackedInput one;
    one.token_ids = input.token_ids.slice(0, input.cu_seqlens[index], input.cu_seqlens[index + 1]);
    one.cu_seqlens = {0, one.token_ids.numel()};
    one.images = model->EncodeImages(pictures[index]);
    return one;
  }

  at::Tensor LogitsOf(const PackedInput& packed) const {
    const auto hidden = model->Forward(packed);
    EXPECT_TRUE(hidden.ok()) << hidden.status();
    return hidden.ok() ? model->Logits(*hidden) : at::Tensor();
  }
  at::Tensor Logits() const { return LogitsOf(WithImages()); }

 private:
  std::vector<ProcessedImage> ReadPictures() const {
    const std::vector<int64_t> rows = Values("picture_rows"), features = Values("picture_features");
    std::vector<ProcessedImage> all;
    int64_t row = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      ProcessedImage& picture = all.emplace_back();
      picture.pixels = expected.at("pixels").slice(0, row, row + rows[i]);
      picture.feature_count = features[i];
      for (int64_t j = 0; j < 3; ++j)
        picture.grid[j] = expected.at("grids")[static_cast<int64_t>(i)][j].item<int64_t>();
      row += rows[i];
    }
    return all;
  }
};

// Mean negative log-likelihood of every token after the first of its sequence.
inline at::Tensor NextTokenLoss(const at::Tensor& logits, const PackedInput& input) {
  at::Tensor sum = at::zeros({});
  int64_t count = 0;
  for (size_t i = 1; i < input.cu_seqlens.size(); ++i) {
    const int64_t begin = input.cu_seqlens[i - 1], end = input.cu_seqlens[i];
    const at::Tensor logprobs = at::log_softmax(logits.slice(0, begin, end - 1), -1);
    sum = sum - logprobs.gather(1, input.token_ids.slice(0, begin + 1, end).unsqueeze(1)).sum();
    count += end - begin - 1;
  }
  return sum / static_cast<double>(count);
}

// Largest difference, as a part of the largest value expected.
inline double RelativeDifference(const at::Tensor& ours, const at::Tensor& expected) {
  return MaxDifference(ours, expected) / expected.abs().max().item<double>();
}

// What EncodeImages says against pictures; "taken" where it takes them.
inline std::string RefusalOf(VisionLanguageModel& model, const std::vector<ProcessedImage>& pictures) {
  try {
    model.EncodeImages(pictures);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "taken";
}

// What gtest shows for the parameter "family/case".
inline std::string CaseName(const testing::TestParamInfo<std::string>& info) {
  return absl::StrReplaceAll(info.param, {{"/", "_"}});
}

}  // namespace rein::models
