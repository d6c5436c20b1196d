// For tests: the reference data of one configuration, see tests/fixtures/models/make_qwen2_vl.py.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/test_support.h"
#include "models/vision_language_model.h"

namespace rein::models {

struct Qwen2VlCase {
  std::unique_ptr<VisionLanguageModel> model;
  std::map<std::string, at::Tensor> expected;
  std::vector<std::vector<ProcessedImage>> pictures;  // of each sequence
  PackedInput input;                                  // without images

  explicit Qwen2VlCase(const std::string& name, const LoadOptions& options = {}) {
    auto loaded = LoadModel(Fixture("qwen2_vl/" + name), options);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    model = *std::move(loaded);
    expected = ReadAsMap(Fixture("qwen2_vl/" + name) / "expected.safetensors");
    input.token_ids = expected.at("token_ids");
    input.cu_seqlens = {0};
    const std::vector<int64_t> lengths = Values("lengths"), counts = Values("pictures");
    for (int64_t length : lengths) input.cu_seqlens.push_back(input.cu_seqlens.back() + length);
    int64_t row = 0, first = 0;
    for (int64_t count : counts) {
      pictures.emplace_back();
      for (int64_t i = 0; i < count; ++i) pictures.back().push_back(Picture(row++, first));
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
  // The picture in row `row` of the grids, whose patches start at `first`.
  ProcessedImage Picture(int64_t row, int64_t& first) const {
    ProcessedImage picture;
    int64_t patches = 1;
    for (int64_t i = 0; i < 3; ++i) {
      picture.grid[i] = expected.at("grids")[row][i].item<int64_t>();
      patches *= picture.grid[i];
    }
    picture.pixels = expected.at("pixels").slice(0, first, first + patches);
    first += patches;
    const int64_t features = (input.token_ids == model->shape().image_token_id).sum().item<int64_t>();
    picture.feature_count = patches * features / expected.at("pixels").size(0);
    return picture;
  }
};

}  // namespace rein::models
