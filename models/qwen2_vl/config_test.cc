#include "models/qwen2_vl/config.h"

#include <string>

#include "models/llama/config.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

absl::StatusOr<Qwen2VlConfig> Parse(const std::string& text) {
  return ParseQwen2VlConfig(Json::parse(text), "config.json");
}

Qwen2VlConfig Good(const std::string& text) {
  const auto config = Parse(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(Qwen2VlConfig());
}

TEST(Qwen2VlConfig, ReadsTheReleased7B) {
  const Qwen2VlConfig config = Good(R"({"architectures": ["Qwen2VLForConditionalGeneration"],
      "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "vision_start_token_id": 151652,
      "vision_end_token_id": 151653, "vision_token_id": 151654, "image_token_id": 151655, "video_token_id": 151656,
      "hidden_act": "silu", "hidden_size": 3584, "initializer_range": 0.02, "intermediate_size": 18944,
      "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2_vl", "num_attention_heads": 28,
      "num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
      "sliding_window": 32768, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false,
      "vision_config": {"in_chans": 3, "model_type": "qwen2_vl", "spatial_patch_size": 14},
      "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 152064})");
  EXPECT_EQ(config.text.hidden, 3584);
  EXPECT_EQ(config.text.head_dim, 128);
  EXPECT_EQ(config.text.kv_heads, 4);
  EXPECT_EQ(config.text.rope_theta, 1e6);
  EXPECT_EQ(config.text.mrope_sections, (std::vector<int64_t>{16, 24, 24}));
  EXPECT_TRUE(config.text.attention_bias);
  EXPECT_FALSE(config.text.output_bias || config.text.mlp_bias || config.text.tied);
  EXPECT_EQ(config.vision.layers, 32);
  EXPECT_EQ(config.vision.width, 1280);
  EXPECT_EQ(config.vision.hidden, 3584);
  EXPECT_EQ(config.vision.head_dim(), 80);
  EXPECT_EQ(config.vision.patch_values(), 1176);
  EXPECT_EQ(config.image_token_id, 151655);
}

// Small sizes, with more text settings, more vision settings and more at the root.
std::string Small(const std::string& text = "", const std::string& vision = "",
                  const std::string& root = "") {
  return R"({"image_token_id": 1, "text_config": {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
             "rope_parameters": {"mrope_section": [1, 1, 2]})" +
         text + R"(}, "vision_config": {"hidden_size": 16, "embed_dim": 16, "num_heads": 2)" + vision + "}" +
         root + "}";
}

TEST(Qwen2VlConfig, AppliesTheDefaultsOfTransformers) {
  const Qwen2VlConfig config = Good(Small());
  EXPECT_EQ(config.text.intermediate, 29568);
  EXPECT_EQ(config.text.layers, 80);
  EXPECT_EQ(config.text.vocab_size, 152064);
  EXPECT_EQ(config.text.max_positions, 32768);
  EXPECT_EQ(config.text.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.text.rope_theta, 1e6);
  EXPECT_EQ(config.vision.mlp_ratio, 4);
  EXPECT_EQ(config.vision.patch_size, 14);
  EXPECT_EQ(config.vision.frames, 2);
  EXPECT_EQ(config.vision.merge_size, 2);
  EXPECT_EQ(config.vision.rope_theta, 1e4);
  EXPECT_EQ(config.video_token_id, 151656);
}

TEST(Qwen2VlConfig, ReadsTiedEmbeddingsInEitherPlace) {
  EXPECT_FALSE(Good(Small()).text.tied);
  EXPECT_TRUE(Good(Small(R"(, "tie_word_embeddings": true)")).text.tied);
  EXPECT_TRUE(Good(Small("", "", R"(, "tie_word_embeddings": true)")).text.tied);
}

TEST(Qwen2VlConfig, NamesImpossibleValues) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kInvalidArgument, texts);
  };
  refuse(Small(R"(, "hidden_size": 0)"), {"text_config", "hidden_size is 0"});
  refuse(Small(R"(, "num_key_value_heads": 3)"), {"num_key_value_heads is 3"});
  refuse(Small(R"(, "head_dim": 4, "rope_scaling": {"mrope_section": [1, 1, 0]}, "rope_parameters": null)"),
         {"head_dim is 4", "hidden_size, 16"});
  refuse(Small(R"(, "rope_parameters": {"mrope_section": [1, 1, 3]})"), {"mrope_section sums up to 5", "4"});
  refuse(R"({"image_token_id": 1, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
             "vision_config": {"hidden_size": 16}})",
         {"mrope_section has 16", "head_dim, 8"});
  refuse(Small("", R"(, "embed_dim": 12)"), {"vision_config", "embed_dim is 12", "multiple of 4"});
  refuse(Small("", R"(, "hidden_size": 32)"), {"hidden_size is 32", "16"});
  refuse(Small("", R"(, "depth": 0)"), {"depth is 0"});
  refuse(Small("", R"(, "in_channels": 1)"), {"in_channels is 1"});
  refuse(Small("", R"(, "patch_size": [14, 16])"), {"patch_size", "squares"});
  refuse(Small("", R"(, "patch_size": [])"), {"patch_size"});
  refuse(Small("", R"(, "patch_size": 100000)"), {"patch_size"});
  refuse(Small("", R"(, "spatial_merge_size": 0)"), {"spatial_merge_size is 0"});
  refuse(Small("", R"(, "mlp_ratio": "four")"), {"mlp_ratio is \"four\""});
  refuse(Small(R"(, "vocab_size": 100)", "", R"(, "image_token_id": 100)"), {"image_token_id is 100"});
  refuse(R"({"vision_config": 3})", {"vision_config is not an object"});
}

TEST(Qwen2VlConfig, NeedsAnImageTokenInTheVocabulary) {
  ExpectError(
      Parse(R"({"text_config": {"vocab_size": 100}, "vision_config": {"hidden_size": 8192}})").status(),
      StatusCode::kInvalidArgument, {"image_token_id is missing", "151655", "100"});
}

TEST(Qwen2VlConfig, NamesWhatIsNotSupported) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kUnimplemented, texts);
  };
  refuse(Small(R"(, "model_type": "qwen2_5_vl_text")"), {"qwen2_5_vl_text", "qwen2_vl_text"});
  refuse(Small("", R"(, "model_type": "qwen2_5_vl")"), {"qwen2_5_vl"});
  refuse(Small(R"(, "use_sliding_window": true)"), {"use_sliding_window"});
  refuse(Small(R"(, "rope_scaling": {"type": "yarn", "factor": 4})"),
         {"rope_type", "yarn", "default, mrope"});
  refuse(Small(R"(, "hidden_act": "mish")"), {"hidden_act", "mish"});
  refuse(Small(R"(, "attention_dropout": 0.5)"), {"attention_dropout"});
  refuse(Small("", R"(, "hidden_act": "mish")"), {"vision_config", "mish"});
  refuse(Small("", R"(, "rope_parameters": {"rope_type": "linear"})"), {"rope_type", "linear", "axial"});
}

TEST(Qwen2VlConfig, IsWrittenInBothSpellings) {
  const Json json = Json::parse(Small("", "", R"(, "kept": [1])"));
  const Json written = Json::parse(RenderConfigJson(json, ParseQwen2VlConfig(json, "c")->text, "float32"));
  const Json& text = written["text_config"];
  EXPECT_EQ(written["kept"], Json::parse("[1]"));
  EXPECT_EQ(text["rope_theta"], 1e6);
  EXPECT_EQ(text["rope_parameters"]["mrope_section"], Json::parse("[1, 1, 2]"));
  EXPECT_EQ(text["rope_scaling"], Json::parse(R"({"type": "mrope", "mrope_section": [1, 1, 2]})"));
  EXPECT_EQ(written["dtype"], "float32");
  EXPECT_EQ(written["torch_dtype"], "float32");
}

}  // namespace
}  // namespace rein::models
