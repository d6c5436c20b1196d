// What loading and saving cost, and what is not read.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "absl/strings/substitute.h"
#include "base/test_memory.h"
#include "base/tiny_disk.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

std::string Config(int64_t hidden, int64_t intermediate, int64_t vocabulary, bool tied) {
  return absl::Substitute(R"({"model_type": "llava", "image_token_index": 3, "tie_word_embeddings": $3,
    "text_config": {"hidden_size": $0, "intermediate_size": $1, "num_hidden_layers": 2,
                    "num_attention_heads": 8, "vocab_size": $2},
    "vision_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
                      "num_attention_heads": 2, "image_size": 8, "patch_size": 4}})",
                          hidden, intermediate, vocabulary, tied ? "true" : "false");
}

std::unique_ptr<VisionLanguageModel> RandomModel(const TestFolder& folder, const std::string& config) {
  std::filesystem::create_directory(folder / "config");
  Write(folder / "config/config.json", config);
  auto model = MakeRandomModel(folder / "config", 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

int64_t Bytes(const VisionLanguageModel& model) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : model.tensors()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

TEST(Loading, TakesLittleMoreMemoryThanWhatIsKept) {
  const TestFolder folder;
  {
    const auto model = RandomModel(folder, Config(1024, 2816, 8192, false));
    ASSERT_TRUE(SaveModel(*model, folder / "shards", 60'000'000).ok());
    ASSERT_TRUE(SaveModel(*model, folder / "single").ok());
  }
  for (const char* name : {"shards", "single"}) {
    for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
      std::unique_ptr<VisionLanguageModel> model;
      const int64_t rise = PeakRise([&] { model = LoadModel(folder / name, {.dtype = dtype}).value(); });
      if (rise < 0) GTEST_SKIP() << "this process cannot reset its peak";
      const auto kept = static_cast<double>(Bytes(*model));
      EXPECT_GT(kept, 80e6);
      EXPECT_LE(static_cast<double>(rise), 1.15 * kept) << name << " " << dtype;
    }
  }
}

TEST(Saving, TakesNoSecondCopyOfTheWeights) {
  const TestFolder folder;
  const auto model = RandomModel(folder, Config(1024, 1024, 4096, false));
  const int64_t rise = PeakRise([&] { EXPECT_TRUE(SaveModel(*model, folder / "saved", 30'000'000).ok()); });
  if (rise < 0) GTEST_SKIP() << "this process cannot reset its peak";
  EXPECT_LE(static_cast<double>(rise), 0.15 * static_cast<double>(Bytes(*model)));
}

TEST(Loading, LeavesOutWhatIsDerivedOrNotUsed) {
  const TestFolder folder;
  const auto model = RandomModel(folder, Config(64, 64, 100, true));
  NamedTensors tensors = model->tensors();
  tensors.emplace_back("language_model.lm_head.weight", at::full({100, 64}, std::nan("")));
  tensors.emplace_back("language_model.model.layers.0.self_attn.rotary_emb.inv_freq",
                       at::full({4}, std::nan("")));
  const auto loading = folder / "config";
  ASSERT_TRUE(WriteSafetensors(loading / "model.safetensors", tensors).ok());
  int64_t told = 0;
  const auto loaded =
      LoadModel(loading, {.progress = [&](int64_t /*done*/, int64_t total) { told = total; }});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(told, Bytes(*model));
}

TEST(Loading, NamesWeightsThatAreNotFinite) {
  const TestFolder folder;
  const auto model = RandomModel(folder, Config(64, 64, 100, false));
  model->tensors()[4].second.view({-1})[0] = std::nan("");
  ASSERT_TRUE(SaveModel(*model, folder / "saved", 20'000).ok());
  ExpectError(LoadModel(folder / "saved", {.dtype = at::kBFloat16}).status(), StatusCode::kInvalidArgument,
              {"model-0000", ".safetensors", model->tensors()[4].first, "1 of ", "NaN"});
}

TEST(Saving, ReplacesWhatACrashLeft) {
  const TestFolder folder;
  const auto model = RandomModel(folder, Config(64, 64, 100, false));
  std::filesystem::create_directory(folder / "saved.partial");
  Write(folder / "saved.partial/model-00001-of-00009.safetensors", "half");
  ASSERT_TRUE(SaveModel(*model, (folder / "saved").string() + "/").ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "saved.partial"));
  EXPECT_FALSE(std::filesystem::exists(folder / "saved/model-00001-of-00009.safetensors"));
  EXPECT_TRUE(LoadModel(folder / "saved").ok());
}

TEST(Saving, LeavesNothingOnAFullDisk) {
  const TestFolder folder;
  const auto model = RandomModel(folder, Config(64, 64, 100, false));
  const TinyDisk disk(folder / "disk", 64 << 10);
  if (disk.folder().empty()) GTEST_SKIP() << "this process may not mount";
  ExpectError(SaveModel(*model, disk.folder() / "saved", 20'000), StatusCode::kResourceExhausted,
              {"free space"});
  EXPECT_TRUE(std::filesystem::is_empty(disk.folder()));
}

TEST(LoadProgressText, NamesTheFolder) {
  EXPECT_EQ(LoadProgressText("/models/llava-7b/", 5'922'000'000, 14'100'000'000),
            "llava-7b 42 %, 5.9 of 14.1 GB");
  EXPECT_EQ(LoadProgressText("x", 0, 0), "x 100 %, 0.0 of 0.0 GB");
}

}  // namespace
}  // namespace rein::models
