// For tests of processors: a fixture folder with pictures.safetensors, whose "picture.0", "picture.1", ...
// are uint8 [height, width, 3].
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/json.h"
#include "models/processor.h"
#include "models/test_support.h"

namespace rein::models {

inline data::RgbImage FixturePicture(const std::string& fixture, int64_t index) {
  const at::Tensor levels =
      ReadAsMap(Fixture(fixture) / "pictures.safetensors").at(absl::StrCat("picture.", index));
  data::RgbImage image{static_cast<int>(levels.size(1)), static_cast<int>(levels.size(0)), {}};
  image.pixels.assign(levels.const_data_ptr<uint8_t>(), levels.const_data_ptr<uint8_t>() + levels.numel());
  return image;
}

inline std::unique_ptr<Processor> LoadGood(const std::filesystem::path& folder) {
  auto processor = Processor::Load(folder);
  EXPECT_TRUE(processor.ok()) << processor.status();
  return processor.ok() ? *std::move(processor) : nullptr;
}

// The first `count` pictures of the fixture, as the processor makes them.
inline std::vector<ProcessedImage> ProcessedPictures(const Processor& processor, const std::string& fixture,
                                                     int64_t count) {
  std::vector<ProcessedImage> images;
  for (int64_t i = 0; i < count; ++i) {
    auto image = processor.ProcessImage(FixturePicture(fixture, i));
    EXPECT_TRUE(image.ok()) << image.status();
    images.push_back(*std::move(image));
  }
  return images;
}

// That question and rendered prompt of a case in cases.json become its ids.
inline void ExpectIdsOf(const Json& test, const Processor& processor,
                        const std::vector<ProcessedImage>& pictures) {
  const auto expected = test.at("ids").get<std::vector<int32_t>>();
  const auto prompt = processor.EncodePrompt(test.at("question").get<std::string>(), pictures);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(*prompt, expected);
  const auto raw = processor.EncodeRaw(test.at("prompt").get<std::string>(), pictures);
  ASSERT_TRUE(raw.ok()) << raw.status();
  EXPECT_EQ(*raw, expected);
}

}  // namespace rein::models
