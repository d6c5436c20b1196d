// How much memory a corpus takes that does not fit into it.
#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "base/test_folder.h"
#include "base/test_memory.h"
#include "data/image.h"
#include "data/row_writer.h"
#include "training/corpus.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

constexpr int kRows = 300, kSide = 400;  // 137 MiB

// Processed pictures of 602 kB, in place of those of the tiny folder.
void EnlargePictures(const std::filesystem::path& folder) {
  const auto change = [&folder](const std::string& name, const nlohmann::json& patch) {
    nlohmann::json json = nlohmann::json::parse(ReadFile(folder / name).value());
    json.merge_patch(patch);
    ASSERT_EQ(WriteFileAtomically(folder / name, json.dump()), absl::OkStatus());
  };
  change("config.json", {{"vision_config", {{"image_size", 224}, {"patch_size", 112}}}});
  change("preprocessor_config.json",
         {{"size", {{"shortest_edge", 224}}}, {"crop_size", {{"height", 224}, {"width", 224}}}});
}

// PNG that does not compress.
std::string NoisePng() {
  data::RgbImage image{kSide, kSide, data::Pixels(3 * kSide * kSide, 0)};
  CounterRandom random(7);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.Bits());
  return data::EncodePng(image).value();
}

// Bytes behind the end of each picture, which decoders pass over, make it another one. Returns their sum.
int64_t WriteLargeFile(const std::filesystem::path& path) {
  data::RowWriter writer = data::RowWriter::Open(path).value();
  const std::string png = NoisePng();
  int64_t bytes = 0;
  for (int i = 0; i < kRows; ++i) {
    const std::string picture = png + std::to_string(i);
    bytes += static_cast<int64_t>(picture.size());
    EXPECT_EQ(writer.Add({.question = "q",
                          .pictures = {{picture, "p"}},
                          .responses = {{"a", true, 1, 1}, {"b", false, -1, 1}},
                          .more_helpful = 1,
                          .safer = 1,
                          .category = "benign"}),
              absl::OkStatus());
  }
  EXPECT_EQ(writer.Finish(), absl::OkStatus());
  return bytes;
}

TEST(Corpus, IsReadInLittleMemory) {
  const TestFolder folder;
  WriteTinyFolder(folder.path());
  EnlargePictures(folder.path());
  const auto processor = models::Processor::Load(folder.path()).value();
  const std::filesystem::path rows = folder.path() / "rows.parquet";
  const int64_t bytes = WriteLargeFile(rows);
  arrow::default_memory_pool()->ReleaseUnused();  // what writing took
  const models::ModelShape shape{.image_token_id = kTinyImage};
  int64_t spilled = 0;
  const int64_t rise =
      PeakRise([&] { spilled = Corpus::Load(rows, *processor, shape, {.pixel_bytes = 0})->spilled_bytes(); });
  EXPECT_EQ(spilled, bytes);
  if (rise < 0) GTEST_SKIP() << "this process cannot reset its peak";
  EXPECT_LT(rise, 90 << 20);
}

}  // namespace
}  // namespace rein::training
