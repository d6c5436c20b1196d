#include "models/llava_next/config.h"

#include <string>
#include <vector>

#include "models/llama/config.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

absl::StatusOr<LlavaNextConfig> Parse(const std::string& text) {
  return ParseLlavaNextConfig(Json::parse(text), "config.json");
}

LlavaNextConfig Good(const std::string& text) {
  const auto config = Parse(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(LlavaNextConfig());
}

TEST(LlavaNextConfig, ReadsTheReleasedVicuna7B) {
  const LlavaNextConfig config =
      Good(R"({"architectures": ["LlavaNextForConditionalGeneration"], "ignore_index": -100,
      "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]], "image_token_index": 32000,
      "model_type": "llava_next", "projector_hidden_act": "gelu", "tie_word_embeddings": false,
      "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5", "max_position_embeddings": 4096, "model_type": "llama",
                      "pad_token_id": 0, "rms_norm_eps": 1e-05, "torch_dtype": "float16", "vocab_size": 32064},
      "use_image_newline_parameter": true, "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
      "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
                        "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
                        "patch_size": 14, "projection_dim": 768, "vocab_size": 32000}})");
  EXPECT_EQ(config.llava.text.hidden, 4096);
  EXPECT_EQ(config.llava.text.intermediate, 11008);
  EXPECT_EQ(config.llava.text.kv_heads, 32);
  EXPECT_EQ(config.llava.text.max_positions, 4096);
  EXPECT_EQ(config.llava.text.rope_theta, 1e4);
  EXPECT_EQ(config.llava.feature_layers, std::vector<int64_t>{23});
  EXPECT_EQ(config.llava.feature_count(), 576);
  EXPECT_EQ(config.tiling.tile_side, 336);
  EXPECT_EQ(config.tiling.features_across, 24);
  EXPECT_EQ(config.tiling.Tiles({480, 640}), (Resolution{2, 2}));
}

TEST(LlavaNextConfig, ReadsTheReleasedMistral7B) {
  const LlavaNextConfig config = Good(R"({"model_type": "llava_next", "image_token_index": 32000,
      "text_config": {"_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2", "architectures": ["MistralForCausalLM"],
                      "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
                      "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null,
                      "torch_dtype": "bfloat16", "vocab_size": 32064}})");
  EXPECT_EQ(config.llava.text.hidden, 4096);
  EXPECT_EQ(config.llava.text.kv_heads, 8);
  EXPECT_EQ(config.llava.text.head_dim, 128);
  EXPECT_EQ(config.llava.text.rope_theta, 1e6);
  EXPECT_EQ(config.llava.vision.hidden, 1024);
}

TEST(LlavaNextConfig, AppliesTheDefaultsOfTransformers) {
  const LlavaNextConfig llama = Good(R"({"image_token_index": 3})");
  EXPECT_EQ(llama.llava.text.max_positions, 2048);
  EXPECT_EQ(llama.llava.text.rms_norm_eps, 1e-6);
  EXPECT_EQ(llama.llava.vision.image_size, 336);
  EXPECT_EQ(llama.llava.vision.layers, 24);
  EXPECT_TRUE(llama.llava.projector_bias);
  EXPECT_EQ(llama.tiling.pinpoints,
            (std::vector<Resolution>{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}));
  const LlamaConfig mistral = Good(R"({"image_token_index": 3, "text_config": {"model_type": "mistral",
                                       "sliding_window": null, "attention_bias": true, "mlp_bias": true}})")
                                  .llava.text;
  EXPECT_EQ(mistral.vocab_size, 32000);
  EXPECT_EQ(mistral.hidden, 4096);
  EXPECT_EQ(mistral.intermediate, 14336);
  EXPECT_EQ(mistral.layers, 32);
  EXPECT_EQ(mistral.heads, 32);
  EXPECT_EQ(mistral.kv_heads, 8);
  EXPECT_EQ(mistral.max_positions, 131072);
  EXPECT_EQ(mistral.rms_norm_eps, 1e-6);
  EXPECT_EQ(mistral.rope_theta, 1e4);
  // Mistral has no such settings.
  EXPECT_FALSE(mistral.attention_bias || mistral.output_bias || mistral.mlp_bias);
}

// A folder of small text settings of Mistral and more of them.
std::string Mistral(const std::string& text) {
  return R"({"image_token_index": 3, "text_config": {"model_type": "mistral")" + text + "}}";
}

TEST(LlavaNextConfig, TakesSlidingWindowsThatNoSequenceOutgrows) {
  for (const char* text :
       {R"(, "sliding_window": null)", R"(, "sliding_window": 131072)",
        R"(, "max_position_embeddings": 4096)", R"(, "max_position_embeddings": 64, "sliding_window": 64)",
        R"(, "max_position_embeddings": 64, "sliding_window": 65)"}) {
    EXPECT_TRUE(Parse(Mistral(text)).ok()) << text << Parse(Mistral(text)).status();
  }
}

TEST(LlavaNextConfig, ReadsTiedEmbeddingsFromTheRootOnly) {
  EXPECT_FALSE(
      Good(R"({"image_token_index": 3, "text_config": {"tie_word_embeddings": true}})").llava.text.tied);
  EXPECT_TRUE(Good(R"({"image_token_index": 3, "tie_word_embeddings": true})").llava.text.tied);
}

TEST(LlavaNextConfig, NamesWhatIsNotSupported) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kUnimplemented, texts);
  };
  refuse(Mistral(""), {"text_config", "sliding_window", "4096 (its default", "131072"});
  refuse(Mistral(R"(, "max_position_embeddings": 4097)"), {"sliding_window", "4096 (its default", "4097"});
  refuse(Mistral(R"(, "max_position_embeddings": 64, "sliding_window": 63)"), {"sliding_window", "63", "64"});
  refuse(Mistral(R"(, "sliding_window": null, "rope_scaling": {"type": "yarn"})"), {"rope_scaling", "yarn"});
  refuse(Mistral(R"(, "sliding_window": null, "hidden_act": "mish")"), {"hidden_act", "mish"});
  refuse(Mistral(R"(, "sliding_window": null, "attention_dropout": 0.1)"), {"attention_dropout", "0.1"});
  refuse(R"({"text_config": {"model_type": "qwen2"}})", {"text_config", "qwen2", "llama, mistral"});
  refuse(R"({"text_config": {"rope_parameters": {"rope_type": "linear"}}})", {"rope_parameters", "linear"});
  refuse(R"({"vision_config": {"model_type": "siglip_vision_model"}})", {"siglip_vision_model"});
  refuse(R"({"image_token_index": 3, "vision_feature_select_strategy": "full"})",
         {"vision_feature_select_strategy", "full", "default"});
  refuse(R"({"image_token_index": 3, "vision_feature_select_strategy": "cls"})",
         {"vision_feature_select_strategy", "cls"});
  refuse(R"({"image_token_index": 3, "projector_hidden_act": "mish"})", {"projector_hidden_act", "mish"});
  refuse(R"({"image_token_index": 3, "image_grid_pinpoints": [[336, 336], [336, 500]]})",
         {"image_grid_pinpoints", "336 x 500", "336"});
}

TEST(LlavaNextConfig, NamesImpossibleValues) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kInvalidArgument, texts);
  };
  refuse(Mistral(R"(, "sliding_window": 0)"), {"sliding_window is 0"});
  refuse(Mistral(R"(, "sliding_window": "all")"), {"sliding_window is \"all\""});
  refuse(Mistral(R"(, "num_key_value_heads": 5)"), {"num_key_value_heads is 5"});
  refuse(R"({"image_token_index": 3, "image_grid_pinpoints": []})", {"image_grid_pinpoints"});
  refuse(R"({"image_token_index": 3, "image_grid_pinpoints": [[336]]})", {"image_grid_pinpoints", "[336]"});
  refuse(R"({"image_token_index": 3, "image_grid_pinpoints": [[336, -336]]})", {"image_grid_pinpoints"});
  refuse(R"({"image_token_index": 3, "vision_feature_layer": 26})", {"vision_feature_layer is 26"});
  refuse(R"({"image_token_index": 40000})", {"image_token_index is 40000"});
}

TEST(LlavaNextConfig, IsWrittenWithoutAWindowWhereItWasReadWithoutOne) {
  const Json json = Json::parse(Mistral(R"(, "sliding_window": null, "rope_theta": 1e6)"));
  const Json written =
      Json::parse(RenderConfigJson(json, ParseLlavaNextConfig(json, "c")->llava.text, "bfloat16"));
  EXPECT_TRUE(written["text_config"].contains("sliding_window"));
  EXPECT_TRUE(written["text_config"]["sliding_window"].is_null());
  EXPECT_EQ(written["text_config"]["rope_parameters"]["rope_theta"], 1e6);
  EXPECT_EQ(written["text_config"]["model_type"], "mistral");
}

}  // namespace
}  // namespace rein::models
