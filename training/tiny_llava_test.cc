#include "training/tiny_llava.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "data/image.h"
#include "gtest/gtest.h"

namespace rein::training {
namespace {

using nlohmann::json;

// Byte-level BPE writes bytes that are not printable as code points from 256 on.
std::string ByteToken(int byte, int& next) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const int code = printable ? byte : next++;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

json Tokenizer() {
  json vocabulary;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) vocabulary[ByteToken(byte, next)] = byte;
  json added = json::array();
  for (const std::string token : {"<pad>", "</s>", "<image>"}) {
    added.push_back({{"id", 256 + added.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false},
                      {"vocab", vocabulary},
                      {"merges", json::array()}};
  return {{"version", "1.0"},          {"truncation", nullptr}, {"padding", nullptr},
          {"added_tokens", added},     {"normalizer", nullptr}, {"pre_tokenizer", byte_level},
          {"post_processor", nullptr}, {"decoder", byte_level}, {"model", model}};
}

json Config() {
  const json text = {{"model_type", "llama"},         {"hidden_size", 32},
                     {"intermediate_size", 64},       {"num_hidden_layers", 2},
                     {"num_attention_heads", 4},      {"num_key_value_heads", 2},
                     {"vocab_size", kTinyVocabulary}, {"max_position_embeddings", 256},
                     {"rms_norm_eps", 1e-5},          {"bos_token_id", nullptr},
                     {"eos_token_id", kTinyEnd},      {"pad_token_id", 256}};
  const json vision = {{"model_type", "clip_vision_model"},
                       {"hidden_size", 16},
                       {"intermediate_size", 32},
                       {"num_hidden_layers", 2},
                       {"num_attention_heads", 2},
                       {"image_size", 8},
                       {"patch_size", 4}};
  return {{"model_type", "llava"},
          {"architectures", {"LlavaForConditionalGeneration"}},
          {"text_config", text},
          {"vision_config", vision},
          {"image_token_index", kTinyImage},
          {"image_seq_length", kTinyPlaceholders},
          {"pad_token_id", 256},
          {"vision_feature_layer", -2},
          {"vision_feature_select_strategy", "default"},
          {"tie_word_embeddings", false}};
}

json Preprocessor() {
  return {{"image_processor_type", "CLIPImageProcessor"},
          {"do_convert_rgb", true},
          {"do_resize", true},
          {"size", {{"shortest_edge", 8}}},
          {"resample", 3},
          {"do_center_crop", true},
          {"crop_size", {{"height", 8}, {"width", 8}}},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255},
          {"do_normalize", true},
          {"image_mean", {0.5, 0.5, 0.5}},
          {"image_std", {0.5, 0.5, 0.5}}};
}

void WriteJson(const std::filesystem::path& file, const json& value) {
  ASSERT_EQ(WriteFileAtomically(file, value.dump(2)), absl::OkStatus());
}

}  // namespace

std::filesystem::path FreshFolder(const std::string& name) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("rein_training_") + test->test_suite_name() + "_" + test->name()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

void WriteTinyFolder(const std::filesystem::path& folder) {
  WriteJson(folder / "config.json", Config());
  WriteJson(folder / "tokenizer.json", Tokenizer());
  WriteJson(folder / "tokenizer_config.json",
            {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}});
  WriteJson(folder / "preprocessor_config.json", Preprocessor());
  WriteJson(folder / "processor_config.json", {{"processor_class", "LlavaProcessor"},
                                               {"patch_size", 4},
                                               {"num_additional_image_tokens", 1},
                                               {"vision_feature_select_strategy", "default"},
                                               {"image_token", "<image>"}});
  WriteJson(folder / "generation_config.json", {{"eos_token_id", kTinyEnd}, {"pad_token_id", 256}});
}

void WriteTinyModel(const std::filesystem::path& folder, uint64_t seed) {
  const std::filesystem::path empty = FreshFolder(folder.filename().string() + "_config");
  WriteTinyFolder(empty);
  const auto model = models::MakeRandomModel(empty, seed);
  ASSERT_TRUE(model.ok()) << model.status();
  std::filesystem::remove_all(folder);
  ASSERT_EQ(models::SaveModel(**model, folder), absl::OkStatus());
}

std::unique_ptr<models::VisionLanguageModel> MakeTinyModel(const std::string& folder_name, uint64_t seed) {
  const std::filesystem::path folder = FreshFolder(folder_name);
  WriteTinyFolder(folder);
  auto model = models::MakeRandomModel(folder, seed);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

std::string TinyPng(uint8_t red, uint8_t green, uint8_t blue) {
  data::RgbImage image{8, 8, {}};
  for (int i = 0; i < 64; ++i) image.pixels.insert(image.pixels.end(), {red, green, blue});
  const absl::StatusOr<std::string> png = data::EncodePng(image);
  EXPECT_TRUE(png.ok()) << png.status();
  return *png;
}

std::shared_ptr<const models::ProcessedImage> TinyPicture(uint64_t seed) {
  CounterRandom random(seed);
  std::vector<float> pixels;
  for (int i = 0; i < 3 * 8 * 8; ++i) pixels.push_back(static_cast<float>(2 * random.Uniform() - 1));
  auto picture = std::make_shared<models::ProcessedImage>();
  picture->pixels = at::tensor(pixels, at::kFloat).reshape({1, 3, 8, 8});
  picture->feature_count = kTinyPlaceholders;
  return picture;
}

Sequence TinySequence(const std::string& id, uint64_t seed, size_t length,
                      std::shared_ptr<const models::ProcessedImage> picture) {
  CounterRandom random(seed, 1000);
  Sequence sequence{id, {65, 66}, {}, {}};
  if (picture) {
    sequence.prompt.insert(sequence.prompt.end(), kTinyPlaceholders, kTinyImage);
    sequence.images.push_back(std::move(picture));
  }
  const uint64_t words = 3 + random.Below(6);
  for (uint64_t i = 0; i < words; ++i) sequence.prompt.push_back(static_cast<int32_t>(random.Below(256)));
  for (size_t i = 0; i < length; ++i) sequence.response.push_back(static_cast<int32_t>(random.Below(256)));
  return sequence;
}

models::NamedTensors CopyTensors(const models::VisionLanguageModel& model) {
  models::NamedTensors copies;
  for (const auto& [name, value] : model.tensors()) copies.emplace_back(name, value.detach().clone());
  return copies;
}

bool SameTensors(const models::NamedTensors& a, const models::NamedTensors& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) {
    same = a[i].first == b[i].first && at::equal(a[i].second, b[i].second);
  }
  return same;
}

at::Tensor TinyAllowed() {
  at::Tensor allowed = at::zeros({kTinyVocabulary}, at::kBool);
  allowed.slice(0, 0, 256).fill_(true);
  allowed[kTinyEnd] = true;
  return allowed;
}

}  // namespace rein::training
