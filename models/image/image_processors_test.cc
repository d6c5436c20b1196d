#include <functional>

#include "models/image/idefics3_image_processor.h"
#include "models/image/llava_next_image_processor.h"
#include "models/image/qwen2_vl_image_processor.h"
#include "models/image/test_pictures.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;
using Process = std::function<absl::StatusOr<ProcessedImage>(const data::RgbImage&)>;

constexpr int64_t kPatch = 7, kBaseFeatures = 16, kFrameFeatures = 5;  // of tiles of 28 x 28

Json ReadJson(const std::string& name) { return Json::parse(*ReadFile(Fixture("image_processors") / name)); }

template <typename Processor>
Process Wrap(absl::StatusOr<Processor> processor) {
  EXPECT_TRUE(processor.ok()) << processor.status();
  return [processor](const data::RgbImage& image) { return processor->Process(image); };
}

Process ProcessOf(const std::string& kind, const Json& config) {
  const Fields fields(config, "p.json");
  if (kind == "llava_next") return Wrap(LlavaNextImageProcessor::Parse(fields, kPatch, kBaseFeatures));
  if (kind == "qwen2_vl") return Wrap(Qwen2VlImageProcessor::Parse(fields));
  return Wrap(Idefics3ImageProcessor::Parse(fields, kFrameFeatures));
}

// The values that the fixture kept of a large result.
at::Tensor Sample(const at::Tensor& pixels, int64_t count) {
  const at::Tensor flat = pixels.reshape({-1});
  if (flat.numel() <= count) return flat;
  return flat.index_select(0, (at::arange(count, at::kLong) * 2654435761) % flat.numel());
}

int64_t ExpectedFeatures(const std::string& kind, const Json& result, const ProcessedImage& image) {
  if (kind == "llava_next") return result["features"].get<int64_t>();
  if (kind == "qwen2_vl") return image.feature_count;  // the model's matter; see HoldsPatchesOfTheirGrid
  return image.pixels.size(0) * kFrameFeatures;
}

TEST(ImageProcessors, GiveThePixelsOfTransformers) {
  const auto tensors = ReadAsMap(Fixture("image_processors") / "pixels.safetensors");
  size_t compared = 0;
  for (const Json& test : ReadJson("cases.json")) {
    const std::string kind = test["kind"], name = test["name"];
    const Process process = ProcessOf(kind, test["config"]);
    for (const Json& result : test["results"]) {
      const std::string key = result["tensor"];
      const auto image = process(MakePicture(result["width"], result["height"]));
      ASSERT_TRUE(image.ok()) << key << ": " << image.status();
      EXPECT_EQ(image->pixels.sizes().vec(), result["shape"].get<std::vector<int64_t>>()) << key;
      EXPECT_EQ(std::vector<int64_t>(image->grid, image->grid + 3),
                result["grid"].get<std::vector<int64_t>>());
      EXPECT_EQ(image->feature_count, ExpectedFeatures(kind, result, *image)) << key;
      const at::Tensor& expected = tensors.at(key);
      EXPECT_LT(MaxDifference(Sample(Numbers({*image}), expected.numel()), expected), 1e-5) << key;
      ++compared;
    }
  }
  EXPECT_EQ(compared, tensors.size());
}

TEST(ImageProcessors, CountAsTransformersAtTheSettingsOfReleasedModels) {
  const Json empty = Json::object();
  const Json next_config = {{"crop_size", 336}, {"size", {{"shortest_edge", 336}}}};
  const auto next = LlavaNextImageProcessor::Parse(Fields(next_config, "p.json"), 14, 576);
  ASSERT_TRUE(next.ok()) << next.status();
  size_t rows = 0;
  for (const Json& row : ReadJson("counts.json")) {
    const Resolution size{row["height"], row["width"]};
    const Resolution best = SelectBestResolution(size, next->tiling().pinpoints);
    EXPECT_EQ(best, (Resolution{row["best"][0], row["best"][1]})) << row;
    EXPECT_EQ(next->tiling().Features(size).count() + 576, row["next"].get<int64_t>()) << row;
    for (const auto& [name, low, high] :
         {std::tuple("hub", 3136, 12'845'056), std::tuple("small", 256 * 196, 640 * 196)}) {
      const auto resized = SmartResize(size, 28, low, high);
      ASSERT_EQ(resized.ok(), !row[name].is_null()) << row;
      if (resized.ok()) {
        EXPECT_EQ(*resized, (Resolution{row[name][0], row[name][1]})) << row;
      }
    }
    ++rows;
  }
  EXPECT_EQ(rows, 167u);
}

TEST(LlavaNextImageProcessor, CountsTheFeaturesOfPublishedExamples) {
  const Json config = {{"crop_size", 336}, {"size", {{"shortest_edge", 336}}}};
  const auto processor = LlavaNextImageProcessor::Parse(Fields(config, "p.json"), 14, 576);
  ASSERT_TRUE(processor.ok()) << processor.status();
  const auto count = [&](int64_t height, int64_t width) {
    return 576 + processor->tiling().Features({height, width}).count();
  };
  EXPECT_EQ(count(480, 640), 2340);
  EXPECT_EQ(count(640, 480), 2352);
  EXPECT_EQ(count(899, 1024), 2634);
  EXPECT_EQ(count(2000, 3000), 2144);
}

TEST(LlavaNextImageProcessor, RefusesTilesWithoutPlaceInTheModel) {
  const auto parse = [](const Json& json) {
    return LlavaNextImageProcessor::Parse(Fields(json, "p.json"), 14, 256).status();
  };
  EXPECT_TRUE(parse({{"image_grid_pinpoints", {{224, 448}}}}).ok());
  ExpectError(parse({{"image_grid_pinpoints", {{224, 300}}}}), StatusCode::kUnimplemented,
              {"224 x 300", "multiples of the tile's side 224"});
  ExpectError(parse({{"image_grid_pinpoints", Json::array()}}), StatusCode::kInvalidArgument,
              {"image_grid_pinpoints"});
  for (const Json& pair : {Json{224}, Json{224, 0}, Json{224, "x"}, Json{224, 9000}, Json("a")}) {
    ExpectError(parse({{"image_grid_pinpoints", Json::array({pair})}}), StatusCode::kInvalidArgument,
                {"image_grid_pinpoints", "pairs of height and width"});
  }
  ExpectError(parse({{"crop_size", 10}}), StatusCode::kInvalidArgument, {"crop_size", "10"});
  ExpectError(
      parse({{"crop_size", {{"height", 224}, {"width", 448}}}, {"image_grid_pinpoints", {{224, 448}}}}),
      StatusCode::kUnimplemented, {"448"});
  ExpectError(parse({{"image_processor_type", "CLIPImageProcessor"}}), StatusCode::kUnimplemented,
              {"CLIPImageProcessor", "LlavaNextImageProcessor"});
  ExpectError(parse({{"resample", 0}}), StatusCode::kUnimplemented, {"resample"});
}

TEST(Qwen2VlImageProcessor, HoldsPatchesOfTheirGrid) {
  const auto processor = Qwen2VlImageProcessor::Parse(Fields(Json::object(), "p.json"));
  ASSERT_TRUE(processor.ok()) << processor.status();
  const auto image = processor->Process(MakePicture(100, 100));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->pixels.sizes(), (at::IntArrayRef{64, 1176}));
  EXPECT_EQ(image->feature_count, 16);
  // Both frames of a still picture are the same.
  const at::Tensor frames = image->pixels.view({64, 3, 2, 196});
  EXPECT_TRUE(at::equal(frames.select(2, 0), frames.select(2, 1)));
}

TEST(Qwen2VlImageProcessor, RefusesWhatItCannotFollow) {
  const auto parse = [](const Json& json) {
    return Qwen2VlImageProcessor::Parse(Fields(json, "p.json")).status();
  };
  ExpectError(parse({{"size", {{"height", 9}, {"width", 9}}}}), StatusCode::kUnimplemented, {"height"});
  ExpectError(parse({{"size", {{"shortest_edge", 9}}}}), StatusCode::kInvalidArgument, {"longest_edge"});
  ExpectError(parse({{"min_pixels", 9}, {"max_pixels", 8}}), StatusCode::kInvalidArgument, {"8", "9"});
  ExpectError(parse({{"patch_size", 0}}), StatusCode::kInvalidArgument, {"patch_size"});
  ExpectError(parse({{"merge_size", 1.5}}), StatusCode::kInvalidArgument, {"merge_size"});
  EXPECT_TRUE(parse({{"image_processor_type", "Qwen2VLImageProcessorFast"}}).ok());
  const Json as_it_is = {{"do_resize", false}};
  const auto processor = Qwen2VlImageProcessor::Parse(Fields(as_it_is, "p.json"));
  ASSERT_TRUE(processor.ok()) << processor.status();
  EXPECT_TRUE(processor->Process(MakePicture(56, 28)).ok());
  ExpectError(processor->Process(MakePicture(57, 28)).status(), StatusCode::kInvalidArgument,
              {"57 x 28", "28"});
}

TEST(Qwen2VlImageProcessor, RefusesThinPictures) {
  const auto processor = Qwen2VlImageProcessor::Parse(Fields(Json::object(), "p.json"));
  ASSERT_TRUE(processor.ok()) << processor.status();
  EXPECT_TRUE(processor->Process(MakePicture(1, 200)).ok());
  ExpectError(processor->Process(MakePicture(1, 201)).status(), StatusCode::kInvalidArgument,
              {"1 x 201", "200"});
  ExpectError(processor->Process({}).status(), StatusCode::kInvalidArgument, {"0 x 0"});
}

TEST(Idefics3ImageProcessor, RefusesWhatItCannotFollow) {
  const auto parse = [](const Json& json) {
    return Idefics3ImageProcessor::Parse(Fields(json, "p.json"), 64).status();
  };
  ExpectError(parse({{"size", {{"shortest_edge", 9}}}}), StatusCode::kUnimplemented, {"shortest_edge"});
  ExpectError(parse({{"size", {{"height", 9}}}}), StatusCode::kInvalidArgument, {"size", "longest_edge"});
  ExpectError(parse({{"max_image_size", {{"height", 9}}}}), StatusCode::kInvalidArgument, {"max_image_size"});
  ExpectError(parse({{"max_image_size", {{"longest_edge", 0}}}}), StatusCode::kInvalidArgument,
              {"longest_edge"});
  ExpectError(parse({{"image_processor_type", "Idefics2ImageProcessor"}}), StatusCode::kUnimplemented,
              {"Idefics2"});
  EXPECT_TRUE(parse({{"image_processor_type", "SmolVLMImageProcessor"}, {"size", 64}}).ok());
}

TEST(Idefics3ImageProcessor, RefusesToSplitMoreThanMemoryAllows) {
  const Json config = {{"do_resize", false}, {"max_image_size", {{"longest_edge", 4096}}}};
  const auto processor = Idefics3ImageProcessor::Parse(Fields(config, "p.json"), 64);
  ASSERT_TRUE(processor.ok()) << processor.status();
  const data::RgbImage thin{60'000, 1, data::Pixels(180'000, 0)};
  ExpectError(processor->Process(thin).status(), StatusCode::kInvalidArgument,
              {"60000 x 1", "scale it down"});
}

TEST(Pictures, DecodeAsTransformersReadsThem) {
  const auto expected = ReadAsMap(Fixture("image_processors") / "formats.safetensors");
  for (const auto& [name, pixels] : expected) {
    const auto image = data::DecodeImage(*ReadFile(Fixture("image_processors") / "formats" / name));
    ASSERT_TRUE(image.ok()) << name << ": " << image.status();
    ASSERT_EQ(image->height, pixels.size(0)) << name;
    ASSERT_EQ(image->width, pixels.size(1)) << name;
    const at::Tensor ours =
        at::from_blob(const_cast<uint8_t*>(image->pixels.data()), pixels.sizes(), at::kByte);
    // Decoders of lossy formats may round differently.
    const bool lossy = name.ends_with(".jpg") || name.starts_with("lossy");
    EXPECT_LE(MaxDifference(ours, pixels), lossy ? 3 : 0) << name;
  }
  EXPECT_EQ(expected.size(), 23u);
}

}  // namespace
}  // namespace rein::models
