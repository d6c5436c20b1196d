// Bytes as an encoded picture: decoded, they give pixels that fill the picture or an error. The first byte
// picks an image processor for them.
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "data/image.h"
#include "models/image/idefics3_image_processor.h"
#include "models/image/llava_next_image_processor.h"
#include "models/image/qwen2_vl_image_processor.h"

namespace {

using rein::models::Fields;
using rein::models::Json;

void Process(uint8_t choice, const rein::data::RgbImage& image) {
  static const Json next = {
      {"crop_size", 28}, {"size", {{"shortest_edge", 28}}}, {"image_grid_pinpoints", {{28, 56}, {56, 28}}}};
  static const Json qwen = {{"min_pixels", 3136}, {"max_pixels", 12544}};
  static const Json idefics = {{"size", {{"longest_edge", 64}}}, {"max_image_size", {{"longest_edge", 32}}}};
  static const auto next_processor =
      rein::models::LlavaNextImageProcessor::Parse(Fields(next, "next"), 7, 16);
  static const auto qwen_processor = rein::models::Qwen2VlImageProcessor::Parse(Fields(qwen, "qwen"));
  static const auto idefics_processor =
      rein::models::Idefics3ImageProcessor::Parse(Fields(idefics, "idefics"), 4);
  if (choice % 3 == 0) (void)next_processor->Process(image);
  if (choice % 3 == 1) (void)qwen_processor->Process(image);
  if (choice % 3 == 2) (void)idefics_processor->Process(image);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto image = rein::data::DecodeImage(bytes, {.max_pixels = 1 << 20});
  if (!image.ok()) return 0;
  if (image->pixels.size() != 3 * static_cast<size_t>(image->width) * static_cast<size_t>(image->height))
    __builtin_trap();
  Process(data[0], *image);
  return 0;
}
