// Settings that ask for pictures which no memory holds.
#include "models/clip/image_processor.h"
#include "models/image/pixels.h"
#include "models/image/qwen2_vl_image_processor.h"
#include "models/image/test_pictures.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

void ExpectTooManyNumbers(const absl::Status& status) {
  ExpectError(status, StatusCode::kInvalidArgument, {"would become", "268435456", "lower the sizes"});
}

TEST(ImageLimits, AreCountedInNumbers) {
  const data::RgbImage picture = MakePicture(2, 3);
  EXPECT_TRUE(CheckValues(picture, int64_t{1} << 28).ok());
  ExpectError(CheckValues(picture, (int64_t{1} << 28) + 1), StatusCode::kInvalidArgument,
              {"2 x 3", "268435457", "268435456", "lower the sizes"});
}

TEST(ImageLimits, HoldForPicturesThatAreNotCropped) {
  const Json json = {{"size", 8192}, {"do_center_crop", false}};
  const auto processor = ClipImageProcessor::Parse(Fields(json, "p.json"));
  ASSERT_TRUE(processor.ok()) << processor.status();
  ExpectTooManyNumbers(processor->Process(MakePicture(1, 60)).status());
}

TEST(ImageLimits, HoldForFrames) {
  const Json json = {
      {"temporal_patch_size", 16}, {"min_pixels", int64_t{1} << 26}, {"max_pixels", int64_t{1} << 26}};
  const auto processor = Qwen2VlImageProcessor::Parse(Fields(json, "p.json"));
  ASSERT_TRUE(processor.ok()) << processor.status();
  ExpectTooManyNumbers(processor->Process(MakePicture(30, 20)).status());
}

}  // namespace
}  // namespace rein::models
