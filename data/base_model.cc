#include "data/base_model.h"

#include <map>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "data/byte_bpe.h"
#include "data/scene_words.h"
#include "nlohmann/json.hpp"

namespace rein::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPatchSize = 8;
constexpr const char* kSpecials[] = {"<s>", "</s>", "<pad>", "<image>"};
constexpr int kBegin = 0, kEnd = 1, kPad = 2, kImage = 3;

// The template of llava-hf/llava-1.5.
constexpr char kChatTemplate[] =
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";

Json Vocabulary(const ByteBpe& bpe) {
  Json vocabulary = Json::object();
  int id = 0;
  for (const char* special : kSpecials) vocabulary[special] = id++;
  for (const std::string& token : bpe.tokens) vocabulary[token] = id++;
  return vocabulary;
}

Json AddedTokens() {
  Json added = Json::array();
  for (int id = 0; id < 4; ++id) {
    added.push_back({{"id", id},
                     {"content", kSpecials[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return added;
}

// <s> in front of a prompt.
Json PostProcessor() {
  const Json begin = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const Json first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const Json special = {{"id", "<s>"}, {"ids", {kBegin}}, {"tokens", {"<s>"}}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({begin, first})},
          {"pair", Json::array({begin, first, second})},
          {"special_tokens", {{"<s>", special}}}};
}

Json Tokenizer(const ByteBpe& bpe) {
  Json merges = Json::array();
  for (const auto& [left, right] : bpe.merges) merges.push_back(left + " " + right);
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", AddedTokens()},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", PostProcessor()},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", Vocabulary(bpe)},
            {"merges", merges}}}};
}

Json TextConfig(int vocabulary) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocabulary},
          {"hidden_size", 96},
          {"intermediate_size", 256},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 2048},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", false},
          {"initializer_range", 0.05},
          {"bos_token_id", kBegin},
          {"eos_token_id", kEnd},
          {"pad_token_id", kPad}};
}

Json VisionConfig(int picture_size) {
  return {{"model_type", "clip_vision_model"},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_channels", 3},
          {"image_size", picture_size},
          {"patch_size", kPatchSize},
          {"hidden_act", "quick_gelu"},
          {"layer_norm_eps", 1e-5},
          {"projection_dim", 64},
          {"initializer_range", 0.05},
          {"initializer_factor", 1.0}};
}

Json Config(int picture_size, int vocabulary) {
  const int patches = (picture_size / kPatchSize) * (picture_size / kPatchSize);
  return {{"architectures", {"LlavaForConditionalGeneration"}},
          {"model_type", "llava"},
          {"image_token_index", kImage},
          {"image_seq_length", patches},
          {"ignore_index", -100},
          {"pad_token_id", kPad},
          {"projector_hidden_act", "gelu"},
          {"multimodal_projector_bias", true},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "default"},
          {"tie_word_embeddings", false},
          {"text_config", TextConfig(vocabulary)},
          {"vision_config", VisionConfig(picture_size)},
          {"torch_dtype", "float32"}};
}

Json Preprocessor(int picture_size) {
  return {{"image_processor_type", "CLIPImageProcessor"},
          {"processor_class", "LlavaProcessor"},
          {"do_convert_rgb", true},
          {"do_resize", true},
          {"size", {{"shortest_edge", picture_size}}},
          {"resample", 3},
          {"do_center_crop", true},
          {"crop_size", {{"height", picture_size}, {"width", picture_size}}},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255},
          {"do_normalize", true},
          {"image_mean", {0.5, 0.5, 0.5}},
          {"image_std", {0.5, 0.5, 0.5}}};
}

Json Processor() {
  return {{"processor_class", "LlavaProcessor"},
          {"patch_size", kPatchSize},
          {"vision_feature_select_strategy", "default"},
          {"num_additional_image_tokens", 1},
          {"image_token", "<image>"}};
}

Json TokenizerConfig() {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"processor_class", "LlavaProcessor"},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"pad_token", "<pad>"},
          {"image_token", "<image>"},
          {"padding_side", "left"},
          {"clean_up_tokenization_spaces", false},
          {"model_max_length", 2048}};
}

Json Generation() { return {{"bos_token_id", kBegin}, {"eos_token_id", kEnd}, {"pad_token_id", kPad}}; }

// Rounded up, as published models pad their embeddings.
int PaddedVocabulary(const ByteBpe& bpe) {
  const int tokens = static_cast<int>(bpe.tokens.size()) + 4;
  return (tokens + 63) / 64 * 64;
}

}  // namespace

absl::Status WriteBaseModel(int picture_size, const std::filesystem::path& folder) {
  const ByteBpe bpe = LearnByteBpe(data::Vocabulary());
  const std::map<std::string, Json> files = {{"config.json", Config(picture_size, PaddedVocabulary(bpe))},
                                             {"tokenizer.json", Tokenizer(bpe)},
                                             {"tokenizer_config.json", TokenizerConfig()},
                                             {"preprocessor_config.json", Preprocessor(picture_size)},
                                             {"processor_config.json", Processor()},
                                             {"generation_config.json", Generation()}};
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  for (const auto& [name, json] : files) {
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, json.dump(2) + "\n"));
  }
  return WriteFileAtomically(folder / "chat_template.jinja", kChatTemplate);
}

}  // namespace rein::data
