#include "models/idefics3/config.h"

#include <string>

#include "models/llama/config.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

absl::StatusOr<Idefics3Config> Parse(const std::string& text) {
  return ParseIdefics3Config(Json::parse(text), "config.json");
}

Idefics3Config Good(const std::string& text) {
  const auto config = Parse(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(Idefics3Config());
}

// The keys of a released SmolVLM with 256 million parameters that say something, and some that do not.
TEST(Idefics3Config, ReadsSmolVlm) {
  const Idefics3Config config = Good(R"({"architectures": ["Idefics3ForConditionalGeneration"],
      "image_token_id": 49190, "model_type": "idefics3", "pad_token_id": 128002, "scale_factor": 4,
      "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 49280, "text_config": {
        "model_type": "llama", "head_dim": 64, "hidden_size": 576, "intermediate_size": 1536,
        "max_position_embeddings": 8192, "num_attention_heads": 9, "num_hidden_layers": 30,
        "num_key_value_heads": 3, "pad_token_id": 2, "perceiver_config": {"model_type": "vllama3"},
        "qk_layer_norms": false, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 100000,
        "use_resampler": false, "vocab_size": 49280},
      "vision_config": {"hidden_size": 768, "image_size": 512, "intermediate_size": 3072,
        "max_image_size": {"longest_edge": 512}, "model_type": "idefics3", "num_attention_heads": 12,
        "patch_size": 16, "size": {"longest_edge": 2048}, "tie_word_embeddings": false}})");
  EXPECT_EQ(config.model_type, "idefics3");
  EXPECT_EQ(config.text.head_dim, 64);
  EXPECT_EQ(config.text.kv_heads, 3);
  EXPECT_EQ(config.text.rope_theta, 1e5);
  EXPECT_EQ(config.text.max_positions, 8192);
  EXPECT_FALSE(config.text.attention_bias || config.text.mlp_bias || config.text.tied);
  EXPECT_EQ(config.vision.layers, 12);
  EXPECT_EQ(config.vision.side_patches(), 32);
  EXPECT_EQ(config.vision.activation, Activation::kGeluTanh);
  EXPECT_EQ(config.FrameFeatures(config.vision.side_patches()), 64);
  EXPECT_EQ(config.image_token_id, 49190);
}

// More text settings, more vision settings and more at the root.
std::string Small(const std::string& text = "", const std::string& vision = "",
                  const std::string& root = "") {
  return R"({"image_token_id": 1, "text_config": {"hidden_size": 16, "num_attention_heads": 2)" + text +
         R"(}, "vision_config": {"image_size": 64)" + vision + "}" + root + "}";
}

TEST(Idefics3Config, AppliesTheDefaultsOfTransformers) {
  const Idefics3Config config = Good(Small());
  EXPECT_EQ(config.text.intermediate, 11008);
  EXPECT_EQ(config.text.layers, 32);
  EXPECT_EQ(config.text.kv_heads, 2);
  EXPECT_EQ(config.text.head_dim, 8);
  EXPECT_EQ(config.text.vocab_size, 32000);
  EXPECT_EQ(config.text.max_positions, 2048);
  EXPECT_EQ(config.text.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.text.rope_theta, 1e4);
  EXPECT_EQ(config.text.activation, Activation::kSilu);
  EXPECT_FALSE(config.text.attention_bias || config.text.output_bias || config.text.mlp_bias);
  EXPECT_EQ(config.vision.hidden, 1152);
  EXPECT_EQ(config.vision.intermediate, 3072);
  EXPECT_EQ(config.vision.layers, 12);
  EXPECT_EQ(config.vision.heads, 16);
  EXPECT_EQ(config.vision.patch_size, 32);
  EXPECT_EQ(config.vision.layer_norm_eps, 1e-6);
  EXPECT_EQ(config.scale_factor, 2);
  // Without image_size there are 7 patches along a side, which no scale_factor of 2 divides.
  ExpectError(Parse(R"({"image_token_id": 1})").status(), StatusCode::kInvalidArgument,
              {"scale_factor is 2", "7 patches"});
  const Idefics3Config bare = Good(R"({"image_token_id": 1, "scale_factor": 7})");
  EXPECT_EQ(bare.vision.image_size, 224);
  EXPECT_EQ(bare.text.rms_norm_eps, 1e-5);  // no text_config at all
  EXPECT_EQ(bare.text.hidden, 4096);
  EXPECT_EQ(bare.text.head_dim, 128);
}

TEST(Idefics3Config, ReadsTiedEmbeddingsAtTheRootOnly) {
  EXPECT_FALSE(Good(Small()).text.tied);
  EXPECT_FALSE(Good(Small(R"(, "tie_word_embeddings": true)")).text.tied);
  EXPECT_TRUE(Good(Small("", "", R"(, "tie_word_embeddings": true)")).text.tied);
}

TEST(Idefics3Config, ReadsBiasesAndBothSpellingsOfRotaryPositions) {
  const LlamaConfig text =
      Good(Small(R"(, "attention_bias": true, "mlp_bias": true, "rope_theta": 5e5)")).text;
  EXPECT_TRUE(text.attention_bias && text.output_bias && text.mlp_bias);
  EXPECT_EQ(text.rope_theta, 5e5);
  EXPECT_EQ(
      Good(Small(R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 3e3})")).text.rope_theta,
      3e3);
}

TEST(Idefics3Config, TakesEveryNameOfTheTower) {
  for (const std::string type : {"idefics3", "idefics3_vision", "smolvlm", "smolvlm_vision"})
    EXPECT_TRUE(Parse(Small("", R"(, "model_type": ")" + type + "\"")).ok()) << type;
  EXPECT_EQ(Good(Small("", "", R"(, "model_type": "smolvlm")")).model_type, "smolvlm");
}

TEST(Idefics3Config, NamesImpossibleValues) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kInvalidArgument, texts);
  };
  refuse(Small(R"(, "num_key_value_heads": 3)"), {"text_config", "num_key_value_heads is 3"});
  refuse(Small(R"(, "hidden_size": 15)"), {"hidden_size is 15"});
  refuse(Small(R"(, "vocab_size": 0)"), {"vocab_size is 0"});
  refuse(Small(R"(, "mlp_bias": 1)"), {"mlp_bias is 1"});
  refuse(Small("", R"(, "hidden_size": 1150)"), {"vision_config", "hidden_size is 1150", "16"});
  refuse(Small("", R"(, "num_hidden_layers": 0)"), {"num_hidden_layers is 0"});
  refuse(Small("", R"(, "num_channels": 1)"), {"num_channels is 1"});
  refuse(Small("", R"(, "patch_size": 65)"), {"patch_size", "larger"});
  refuse(Small("", R"(, "patch_size": [16, 8])"), {"patch_size", "squares"});
  refuse(Small("", R"(, "layer_norm_eps": -1)"), {"layer_norm_eps is -1"});
  refuse(Small("", "", R"(, "scale_factor": 0)"), {"scale_factor is 0"});
  refuse(Small("", "", R"(, "scale_factor": 3)"), {"scale_factor is 3", "2 patches"});
  refuse(Small("", "", R"(, "tie_word_embeddings": "no")"), {"tie_word_embeddings is \"no\""});
  refuse(Small(R"(, "vocab_size": 100)", "", R"(, "image_token_id": 100)"), {"image_token_id is 100"});
  refuse(R"({"vision_config": {"image_size": 64}})", {"image_token_id is missing", "128257", "32000"});
  refuse(R"({"text_config": 3})", {"text_config is not an object"});
  refuse(R"({"vision_config": []})", {"vision_config is not an object"});
}

TEST(Idefics3Config, NamesWhatIsNotSupported) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> texts) {
    ExpectError(Parse(text).status(), StatusCode::kUnimplemented, texts);
  };
  refuse(Small(R"(, "model_type": "mistral")"), {"text_config", "mistral", "llama"});
  refuse(Small(R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8})"),
         {"rope_type", "llama3", "default"});
  refuse(Small(R"(, "hidden_act": "mish")"), {"hidden_act", "mish"});
  refuse(Small(R"(, "attention_dropout": 0.5)"), {"text_config", "attention_dropout"});
  refuse(Small("", R"(, "model_type": "siglip_vision_model")"), {"siglip_vision_model", "idefics3_vision"});
  refuse(Small("", R"(, "hidden_act": "mish")"), {"vision_config", "mish"});
  refuse(Small("", R"(, "attention_dropout": 0.5)"), {"vision_config", "attention_dropout"});
}

TEST(Idefics3Config, IsWrittenInBothSpellings) {
  const Json json = Json::parse(Small(R"(, "rope_theta": 1e5)", "", R"(, "kept": [1])"));
  const Json written = Json::parse(RenderConfigJson(json, ParseIdefics3Config(json, "c")->text, "float32"));
  EXPECT_EQ(written["kept"], Json::parse("[1]"));
  EXPECT_EQ(written["text_config"]["rope_theta"], 1e5);
  EXPECT_EQ(written["text_config"]["rope_parameters"]["rope_theta"], 1e5);
  EXPECT_EQ(written["dtype"], "float32");
}

}  // namespace
}  // namespace rein::models
