#include "models/llava/config.h"

#include <string>

#include "models/llama/config.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

absl::StatusOr<LlavaConfig> Parse(const std::string& text) {
  return ParseLlavaConfig(Json::parse(text), "config.json");
}

LlavaConfig Good(const std::string& text) {
  const auto config = Parse(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(LlavaConfig());
}

TEST(LlavaConfig, AppliesTheDefaultsOfLlava15) {
  const LlavaConfig config = Good(R"({"model_type": "llava", "image_token_index": 32000,
      "text_config": {"model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "vocab_size": 32064},
      "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
                        "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768}})");
  EXPECT_EQ(config.text.hidden, 4096);
  EXPECT_EQ(config.text.intermediate, 11008);
  EXPECT_EQ(config.text.layers, 32);
  EXPECT_EQ(config.text.heads, 32);
  EXPECT_EQ(config.text.kv_heads, 32);
  EXPECT_EQ(config.text.head_dim, 128);
  EXPECT_EQ(config.text.max_positions, 4096);
  EXPECT_EQ(config.text.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.text.rope_theta, 10000.0);
  EXPECT_EQ(config.text.activation, Activation::kSilu);
  EXPECT_FALSE(config.text.tied || config.text.attention_bias || config.text.mlp_bias);
  EXPECT_EQ(config.vision.activation, Activation::kQuickGelu);
  EXPECT_EQ(config.vision.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.feature_layers, std::vector<int64_t>{23});
  EXPECT_EQ(config.projector_activation, Activation::kGelu);
  EXPECT_TRUE(config.projector_bias);
  EXPECT_EQ(config.feature_count(), 576);
}

TEST(LlavaConfig, TakesTheLargeTowerWhenTheFolderNamesNone) {
  const LlavaConfig config = Good(R"({"model_type": "llava", "text_config": {"vocab_size": 32064}})");
  EXPECT_EQ(config.vision.hidden, 1024);
  EXPECT_EQ(config.vision.layers, 24);
  EXPECT_EQ(config.vision.image_size, 336);
  EXPECT_EQ(config.vision.patch_size, 14);
  EXPECT_EQ(config.image_token_id, 32000);
}

TEST(LlavaConfig, ReadsTextSettingsFromTheRootOfOldFolders) {
  const LlavaConfig config = Good(
      R"({"model_type": "llava", "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 40000, "rope_theta": 5e5})");
  EXPECT_EQ(config.text.hidden, 64);
  EXPECT_EQ(config.text.head_dim, 16);
  EXPECT_EQ(config.text.rope_theta, 5e5);
}

TEST(LlavaConfig, ReadsRopeInEverySpelling) {
  for (const std::string rope :
       {R"("rope_theta": 7000)", R"("rope_parameters": {"rope_theta": 7000, "rope_type": "default"})",
        R"("rope_theta": 1, "rope_parameters": {"rope_theta": 7000})",
        R"("rope_theta": 7000, "rope_scaling": null)",
        R"("rope_theta": 7000, "rope_scaling": {"type": "default"})"}) {
    EXPECT_EQ(Good(R"({"text_config": {"vocab_size": 32064, )" + rope + "}}").text.rope_theta, 7000) << rope;
  }
}

TEST(LlavaConfig, ReadsTiedEmbeddingsInEitherPlaceAndBothImageTokenKeys) {
  EXPECT_TRUE(Good(R"({"tie_word_embeddings": true, "text_config": {"vocab_size": 32064}})").text.tied);
  EXPECT_TRUE(Good(R"({"text_config": {"vocab_size": 32064, "tie_word_embeddings": true}})").text.tied);
  EXPECT_EQ(Good(R"({"image_token_id": 3, "text_config": {}})").image_token_id, 3);
  EXPECT_EQ(Good(R"({"image_token_index": 4, "text_config": {}})").image_token_id, 4);
}

TEST(LlavaConfig, CountsFeatureLayersFromEitherEnd) {
  const std::string tower = R"("image_token_index": 1, "vision_config": {"num_hidden_layers": 3})";
  EXPECT_EQ(Good("{" + tower + "}").feature_layers, std::vector<int64_t>{2});
  EXPECT_EQ(Good("{" + tower + R"(, "vision_feature_layer": [0, -1, 3, -4]})").feature_layers,
            (std::vector<int64_t>{0, 3, 3, 0}));
}

TEST(LlavaConfig, NamesImpossibleValues) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kInvalidArgument, texts);
  };
  refuse(R"({"text_config": {"hidden_size": 0}})", {"config.json", "text_config", "hidden_size is 0"});
  refuse(R"({"text_config": {"hidden_size": -4}})", {"hidden_size is -4"});
  refuse(R"({"text_config": {"hidden_size": 1e9}})", {"hidden_size", "whole number"});
  refuse(R"({"text_config": {"hidden_size": 18446744073709551615}})", {"hidden_size"});
  refuse(R"({"text_config": {"hidden_size": "64"}})", {"hidden_size", "\"64\""});
  refuse(R"({"text_config": {"num_attention_heads": 3}})", {"hidden_size", "multiple of the 3"});
  refuse(R"({"text_config": {"num_key_value_heads": 5}})", {"num_key_value_heads is 5", "divide"});
  refuse(R"({"text_config": {"head_dim": 7}})", {"head_dim is 7", "even"});
  refuse(R"({"text_config": {"rms_norm_eps": -1}})", {"rms_norm_eps"});
  refuse(R"({"text_config": {"attention_bias": 1}})", {"attention_bias", "true or false"});
  refuse(R"({"text_config": 3})", {"text_config is not an object"});
  refuse(R"({"text_config": {}})", {"image_token_index", "32000"});
  refuse(R"({"image_token_index": 32000})", {"image_token_index"});
  refuse(R"({"image_token_index": 1, "vision_config": {"hidden_size": 30}})",
         {"vision_config", "hidden_size is 30"});
  refuse(R"({"image_token_index": 1, "vision_config": {"patch_size": 500}})", {"patch_size"});
  refuse(R"({"image_token_index": 1, "vision_config": {"image_size": [3, 4]}})", {"image_size", "squares"});
  refuse(R"({"image_token_index": 1, "vision_config": {"num_channels": 4}})", {"num_channels is 4"});
  refuse(R"({"image_token_index": 1, "vision_feature_layer": 25})",
         {"vision_feature_layer is 25", "-25 to 24"});
  refuse(R"({"image_token_index": 1, "vision_feature_layer": []})", {"vision_feature_layer"});
}

TEST(LlavaConfig, NamesWhatIsNotSupported) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kUnimplemented, texts);
  };
  refuse(R"({"text_config": {"model_type": "gemma"}})", {"text_config", "gemma", "llama, mistral"});
  refuse(R"({"text_config": {"model_type": "mistral"}})", {"sliding_window", "4096", "131072"});
  refuse(R"({"text_config": {"hidden_act": "mish"}})", {"hidden_act", "mish", "silu"});
  refuse(R"({"text_config": {"rope_scaling": {"type": "linear", "factor": 2}}})",
         {"rope_scaling", "linear", "default"});
  refuse(R"({"text_config": {"rope_parameters": {"rope_type": "yarn"}}})", {"rope_parameters", "yarn"});
  refuse(R"({"text_config": {"attention_dropout": 0.1}})", {"attention_dropout"});
  refuse(R"({"vision_config": {"model_type": "siglip_vision_model"}})", {"siglip_vision_model"});
  refuse(R"({"vision_feature_select_strategy": "cls"})", {"vision_feature_select_strategy", "cls", "full"});
}

TEST(LlavaConfig, IsWrittenInBothSpellings) {
  const Json json = Json::parse(
      R"({"model_type": "llava", "kept": [1], "image_token_index": 1, "text_config": {"rope_parameters": {"rope_theta": 9e4}}})");
  const Json written = Json::parse(RenderConfigJson(json, ParseLlavaConfig(json, "c")->text, "float32"));
  EXPECT_EQ(written["kept"], Json::parse("[1]"));
  EXPECT_EQ(written["text_config"]["rope_theta"], 9e4);
  EXPECT_EQ(written["text_config"]["rope_parameters"]["rope_theta"], 9e4);
  EXPECT_EQ(written["dtype"], "float32");
  EXPECT_EQ(written["torch_dtype"], "float32");
}

}  // namespace
}  // namespace rein::models
