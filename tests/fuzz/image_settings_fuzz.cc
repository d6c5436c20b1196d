// Bytes as a preprocessor_config.json (or processor_config.json: "image_processor" is an object in it): each
// image processor that takes the settings processes a small picture, which gives finite sizes or an error.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/string_view.h"
#include "base/test_folder.h"
#include "models/clip/image_processor.h"
#include "models/image/idefics3_image_processor.h"
#include "models/image/llava_next_image_processor.h"
#include "models/image/qwen2_vl_image_processor.h"
#include "models/image/test_pictures.h"
#include "models/processor_base.h"

namespace rein::models {
namespace {

// Numbers above it ask for large pictures, whose limits have unit tests: here they would only take time.
constexpr double kMaxNumber = 400;

bool AsksForLittle(const Json& json) {
  if (json.is_number()) return json.get<double>() <= kMaxNumber;
  return !json.is_structured() || std::all_of(json.begin(), json.end(), AsksForLittle);
}

void Require(bool holds, absl::string_view what) {
  if (holds) return;
  std::cerr << "fails: " << what << "\n";
  std::abort();
}

void Check(const absl::StatusOr<ProcessedImage>& image, bool has_features) {
  if (!image.ok()) return;
  Require(image->pixels.dim() >= 2 && image->pixels.numel() > 0, "a picture has pixels");
  Require(Numbers({*image}).sizes() == image->pixels.sizes(), "levels become numbers");
  Require(!has_features || image->feature_count > 0, "a picture has features");
}

template <typename ImageProcessor>
void Process(const absl::StatusOr<ImageProcessor>& processor, bool little) {
  static const data::RgbImage pictures[] = {MakePicture(1, 1), MakePicture(20, 9), MakePicture(3, 40)};
  if (!processor.ok() || !little) return;
  for (const data::RgbImage& picture : pictures)
    Check(processor->Process(picture), !std::is_same_v<ImageProcessor, ClipImageProcessor>);
}

void Run(absl::string_view input) {
  static const TestFolder folder;
  folder.Write("preprocessor_config.json", std::string(input));
  const auto settings = ReadImageSettings(folder.path());
  if (!settings.ok()) return;
  const Fields fields(settings->json, settings->where);
  const bool little = AsksForLittle(settings->json);
  Process(ClipImageProcessor::Parse(fields), little);
  Process(LlavaNextImageProcessor::Parse(fields, 7, 16), little);
  Process(Qwen2VlImageProcessor::Parse(fields), little);
  Process(Idefics3ImageProcessor::Parse(fields, 4), little);
}

}  // namespace
}  // namespace rein::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rein::models::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
