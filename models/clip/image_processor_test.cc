#include "models/clip/image_processor.h"

#include <string>

#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

data::RgbImage ToImage(const at::Tensor& picture) {
  data::RgbImage image{static_cast<int>(picture.size(1)), static_cast<int>(picture.size(0)), {}};
  image.pixels.assign(picture.data_ptr<uint8_t>(), picture.data_ptr<uint8_t>() + picture.numel());
  return image;
}

absl::StatusOr<ClipImageProcessor> Parse(const Json& json) {
  return ClipImageProcessor::Parse(Fields(json, "p.json"));
}

class EveryPreprocessor : public testing::TestWithParam<std::string> {};

TEST_P(EveryPreprocessor, GivesThePixelsOfTransformers) {
  const auto tensors = ReadAsMap(Fixture("images") / "pictures.safetensors");
  const Json json = Json::parse(*ReadFile(Fixture("images") / (GetParam() + ".json")));
  const auto processor = Parse(json);
  ASSERT_TRUE(processor.ok()) << processor.status();
  int compared = 0;
  for (const auto& [name, picture] : tensors) {
    if (!name.starts_with("picture.")) continue;
    const auto image = processor->Process(ToImage(picture));
    ASSERT_TRUE(image.ok()) << image.status();
    // One level of 255 differs by more than a hundred times this bound.
    EXPECT_LT(MaxDifference(Numbers({*image})[0], tensors.at(GetParam() + name.substr(7))), 1e-5) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 12);
}

INSTANTIATE_TEST_SUITE_P(ClipImageProcessor, EveryPreprocessor,
                         testing::Values("bicubic", "lanczos", "bilinear", "padded_crop", "fixed_size",
                                         "raw_levels"),
                         [](const auto& info) { return info.param; });

TEST(ClipImageProcessor, ReadsSizesAsNumbers) {
  const auto processor = Parse({{"size", 30}, {"crop_size", 24}});
  ASSERT_TRUE(processor.ok()) << processor.status();
  EXPECT_EQ(processor->output_height(), 24);
  EXPECT_EQ(processor->output_width(), 24);
}

TEST(ClipImageProcessor, HandlesExtremePictures) {
  const auto processor = Parse({{"size", 336}, {"crop_size", 336}});
  ASSERT_TRUE(processor.ok());
  const data::RgbImage thin{1, 40'000, data::Pixels(120'000, 128)};
  const auto image = processor->Process(thin);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->pixels.sizes(), (at::IntArrayRef{1, 3, 336, 336}));
  const data::RgbImage thinner{1, 65'536, data::Pixels(3 * 65'536, 128)};
  ExpectError(processor->Process(thinner).status(), StatusCode::kInvalidArgument, {"1 x 65536", "thin"});
  ExpectError(processor->Process({}).status(), StatusCode::kInvalidArgument, {"0 x 0"});
  ExpectError(processor->Process({2, 2, data::Pixels(11, 0)}).status(), StatusCode::kInvalidArgument,
              {"11 bytes"});
}

TEST(ClipImageProcessor, RefusesSettingsThatItCannotFollow) {
  ExpectError(Parse({{"do_pad", true}}).status(), StatusCode::kUnimplemented, {"do_pad"});
  ExpectError(Parse({{"resample", 0}}).status(), StatusCode::kUnimplemented, {"resample", "bicubic"});
  ExpectError(Parse({{"size", {{"longest_edge", 9}}}}).status(), StatusCode::kUnimplemented,
              {"longest_edge"});
  ExpectError(Parse({{"resample", 9}}).status(), StatusCode::kInvalidArgument, {"resample"});
  ExpectError(Parse({{"size", 0}}).status(), StatusCode::kInvalidArgument, {"size"});
  ExpectError(Parse({{"size", Json::object()}}).status(), StatusCode::kInvalidArgument, {"shortest_edge"});
  ExpectError(Parse({{"size", {{"height", 9}}}}).status(), StatusCode::kInvalidArgument, {"width"});
  ExpectError(Parse({{"crop_size", "big"}}).status(), StatusCode::kInvalidArgument, {"crop_size"});
  ExpectError(Parse({{"image_mean", {0.5, 0.5}}}).status(), StatusCode::kInvalidArgument, {"image_mean"});
  ExpectError(Parse({{"image_std", {0.5, 0.5, 0}}}).status(), StatusCode::kInvalidArgument, {"image_std"});
}

}  // namespace
}  // namespace rein::models
