#include "models/image/resample.h"

#include "base/hash.h"
#include "models/image/resample_passes.h"
#include "models/image/test_pictures.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

// Scalar code while in scope.
struct ScalarCode {
  ScalarCode() { UseVectorResample(false); }
  ~ScalarCode() { UseVectorResample(true); }
};

TEST(Resample, VectorAndScalarCodeAgreeToTheBit) {
  CounterRandom random(17);
  for (int i = 0; i < 200; ++i) {
    const auto side = [&](uint64_t most) { return static_cast<int>(1 + random.Below(most)); };
    const data::RgbImage image = MakePicture(side(90), side(90));
    const int width = side(120), height = side(120);
    const auto resample = static_cast<Resample>(side(3));
    const data::RgbImage vectors = Resize(image, width, height, resample);
    const ScalarCode scalar;
    EXPECT_EQ(Resize(image, width, height, resample).pixels, vectors.pixels)
        << image.width << " x " << image.height << " to " << width << " x " << height;
  }
}

TEST(Resample, ManyTapsDoNotOverflow) {
  const data::RgbImage white{9000, 3, data::Pixels(3 * 9000 * 3, 255)};
  for (const Resample resample : {Resample::kLanczos, Resample::kBilinear, Resample::kBicubic}) {
    for (const uint8_t level : Resize(white, 2, 2, resample).pixels) EXPECT_EQ(level, 255);
  }
}

TEST(Resample, AWindowIsThatPartOfTheWhole) {
  const data::RgbImage image = MakePicture(61, 47);
  for (const auto& [width, height] : {std::pair(30, 90), std::pair(100, 20), std::pair(61, 47)}) {
    const Window window{.left = 7, .top = 3, .columns = 19, .rows = 13};
    const data::RgbImage part = ResizeWindow(image, width, height, Resample::kLanczos, window);
    EXPECT_EQ(part.width, 19);
    EXPECT_EQ(part.height, 13);
    EXPECT_EQ(part.pixels, Crop(Resize(image, width, height, Resample::kLanczos), window).pixels);
  }
}

}  // namespace
}  // namespace rein::models
