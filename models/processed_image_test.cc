#include "models/processed_image.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

at::Tensor Tables() { return at::arange(768, at::kFloat).view({3, 256}) / 7; }

ProcessedImage Levels(at::IntArrayRef shape, const at::Tensor& tables, int64_t first) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  at::Tensor levels = at::arange(first, first + count).mul(37).remainder(256).to(at::kByte).view(shape);
  return {.pixels = std::move(levels), .tables = tables};
}

// Channel by channel, whatever the shape is.
at::Tensor Expected(const ProcessedImage& image) {
  at::Tensor numbers = at::empty(image.pixels.sizes(), at::kFloat);
  const at::Tensor from = image.pixels.view({image.pixels.size(0), 3, -1}),
                   to = numbers.view({image.pixels.size(0), 3, -1});
  for (int64_t row = 0; row < from.size(0); ++row) {
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t i = 0; i < from.size(2); ++i)
        to[row][c][i] = image.tables[c][from[row][c][i].item<int64_t>()];
    }
  }
  return numbers;
}

TEST(Numbers, LooksEveryLevelUpInTheTableOfItsChannel) {
  const at::Tensor tables = Tables();
  const std::vector<ProcessedImage> tiles = {Levels({2, 3, 4, 5}, tables, 0),
                                             Levels({1, 3, 4, 5}, tables, 9)};
  EXPECT_TRUE(at::equal(Numbers(tiles), at::cat({Expected(tiles[0]), Expected(tiles[1])})));
  const std::vector<ProcessedImage> patches = {Levels({4, 3 * 2 * 9}, tables, 3)};
  EXPECT_TRUE(at::equal(Numbers(patches), Expected(patches[0])));
}

TEST(Numbers, ComeOutTheSameOnOtherDevices) {
  const ProcessedImage image = Levels({3, 3, 70, 90}, Tables(), 5);
  EXPECT_TRUE(at::equal(LookUp(image.pixels, image.tables), Numbers({image})));
}

TEST(Numbers, LeavesNumbersAsTheyAre) {
  const ProcessedImage one{.pixels = at::rand({1, 3, 2, 2})}, two{.pixels = at::rand({2, 3, 2, 2})};
  EXPECT_TRUE(at::equal(Numbers({one, two}), at::cat({one.pixels, two.pixels})));
}

TEST(Numbers, TakesPicturesOfSeveralProcessors) {
  const ProcessedImage one = Levels({1, 3, 2, 2}, Tables(), 0), two = Levels({2, 3, 2, 2}, Tables() + 1, 0);
  const ProcessedImage ready{.pixels = at::rand({1, 3, 2, 2})};
  EXPECT_TRUE(at::equal(Numbers({one, two, ready}), at::cat({Expected(one), Expected(two), ready.pixels})));
}

TEST(Numbers, RefusesWhatDoesNotGoTogether) {
  const at::Tensor tables = Tables();
  const auto refuse = [](const std::vector<ProcessedImage>& images, const std::string& text) {
    try {
      Numbers(images);
      ADD_FAILURE() << "no error about " << text;
    } catch (const c10::Error& error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  refuse({}, "no picture");
  refuse({Levels({1, 3, 2, 2}, tables, 0), Levels({1, 3, 2, 3}, tables, 0)}, "[1, 3, 2, 3]");
  refuse({Levels({1, 4}, tables, 0)}, "three channels");
  refuse({Levels({1, 3, 0, 2}, tables, 0)}, "three channels");
  refuse({Levels({1, 3, 2, 2}, at::rand({3, 255}), 0)}, "[3, 255]");
}

}  // namespace
}  // namespace rein::models
