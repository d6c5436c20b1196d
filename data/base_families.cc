// The families' base models: about half a million parameters each. A square of 8 x 8 pixels becomes one token
// of the prompt, so that a picture of 32 pixels takes 16; llava_next adds its view of the whole, idefics3 the
// marks around a picture.
#include "data/base_family.h"

namespace rein::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSquare = 8;       // pixels across that become one token
constexpr int kMerged = 2;       // patches across that qwen2_vl and idefics3 make one token of
constexpr int kTextHidden = 96;  // width of every decoder
// Standard deviations of initial weights. One over the root of the width, about; with half of it captions
// take twice the steps until words are compared with shapes.
constexpr double kTextInitial = 0.1, kVisionInitial = 0.07;

// The template of llava-hf/llava-1.5, which llava-hf/llava-v1.6-vicuna has as well.
constexpr char kLlavaTemplate[] =
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

// Qwen2-VL's, without its system text and its videos.
constexpr char kQwen2VlTemplate[] =
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

// Of HuggingFaceTB/SmolVLM-256M-Instruct.
constexpr char kIdefics3Template[] =
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}"
    "{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

Json LlamaConfig(const BaseTokens& tokens) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", tokens.embeddings},
          {"hidden_size", kTextHidden},
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
          {"initializer_range", kTextInitial},
          {"bos_token_id", tokens.begin},
          {"eos_token_id", tokens.end},
          {"pad_token_id", tokens.pad}};
}

Json ClipConfig(int image_size) {
  return {{"model_type", "clip_vision_model"},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_channels", 3},
          {"image_size", image_size},
          {"patch_size", kSquare},
          {"hidden_act", "quick_gelu"},
          {"layer_norm_eps", 1e-5},
          {"projection_dim", 64},
          {"initializer_range", kVisionInitial},
          {"initializer_factor", 1.0}};
}

int Squares(int picture_size) { return (picture_size / kSquare) * (picture_size / kSquare); }

Json LlavaConfig(const BaseTokens& tokens, int picture_size) {
  return {{"architectures", {"LlavaForConditionalGeneration"}},
          {"model_type", "llava"},
          {"image_token_index", tokens.image},
          {"image_seq_length", Squares(picture_size)},
          {"ignore_index", -100},
          {"pad_token_id", tokens.pad},
          {"projector_hidden_act", "gelu"},
          {"multimodal_projector_bias", true},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "default"},
          {"tie_word_embeddings", false},
          {"text_config", LlamaConfig(tokens)},
          {"vision_config", ClipConfig(picture_size)},
          {"torch_dtype", "float32"}};
}

// The tail that every image processor has.
Json WithPixelValues(Json settings) {
  settings.update({{"do_rescale", true},
                   {"rescale_factor", 1.0 / 255},
                   {"do_normalize", true},
                   {"image_mean", {0.5, 0.5, 0.5}},
                   {"image_std", {0.5, 0.5, 0.5}}});
  return settings;
}

Json ClipImageProcessor(const char* type, const char* processor, int side) {
  return WithPixelValues({{"image_processor_type", type},
                          {"processor_class", processor},
                          {"do_convert_rgb", true},
                          {"do_resize", true},
                          {"size", {{"shortest_edge", side}}},
                          {"resample", 3},
                          {"do_center_crop", true},
                          {"crop_size", {{"height", side}, {"width", side}}}});
}

Json LlavaImageProcessor(int picture_size) {
  return ClipImageProcessor("CLIPImageProcessor", "LlavaProcessor", picture_size);
}

Json ClipProcessor(const char* processor) {
  return {{"processor_class", processor},
          {"patch_size", kSquare},
          {"vision_feature_select_strategy", "default"},
          {"num_additional_image_tokens", 1},
          {"image_token", "<image>"}};
}

Json LlavaProcessor(int) { return ClipProcessor("LlavaProcessor"); }

// Half a picture, so that a square one is cut into four tiles.
int TileSide(int picture_size) { return (picture_size / 2 + kSquare - 1) / kSquare * kSquare; }

Json Pinpoints(int picture_size) {
  const int tile = TileSide(picture_size);
  return {{tile, 2 * tile}, {2 * tile, tile}, {2 * tile, 2 * tile}};
}

Json LlavaNextConfig(const BaseTokens& tokens, int picture_size) {
  return {{"architectures", {"LlavaNextForConditionalGeneration"}},
          {"model_type", "llava_next"},
          {"image_token_index", tokens.image},
          {"image_seq_length", Squares(TileSide(picture_size))},
          {"image_grid_pinpoints", Pinpoints(picture_size)},
          {"use_image_newline_parameter", true},
          {"ignore_index", -100},
          {"pad_token_id", tokens.pad},
          {"projector_hidden_act", "gelu"},
          {"multimodal_projector_bias", true},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "default"},
          {"tie_word_embeddings", false},
          {"text_config", LlamaConfig(tokens)},
          {"vision_config", ClipConfig(TileSide(picture_size))},
          {"torch_dtype", "float32"}};
}

Json LlavaNextImageProcessor(int picture_size) {
  Json settings = ClipImageProcessor("LlavaNextImageProcessor", "LlavaNextProcessor", TileSide(picture_size));
  settings["do_pad"] = true;
  settings["image_grid_pinpoints"] = Pinpoints(picture_size);
  return settings;
}

Json LlavaNextProcessor(int) { return ClipProcessor("LlavaNextProcessor"); }

Json Qwen2VlTextConfig(const BaseTokens& tokens) {
  Json text = LlamaConfig(tokens);
  text["architectures"] = {"Qwen2VLForConditionalGeneration"};
  text["model_type"] = "qwen2_vl_text";
  text["use_sliding_window"] = false;
  const Json sections = {2, 3, 3};
  text["rope_parameters"]["mrope_section"] = sections;
  text["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", sections}};
  for (const char* key : {"attention_bias", "mlp_bias", "head_dim"}) text.erase(key);
  return text;
}

Json Qwen2VlConfig(const BaseTokens& tokens, int) {
  return {{"architectures", {"Qwen2VLForConditionalGeneration"}},
          {"model_type", "qwen2_vl"},
          {"image_token_id", tokens.image},
          {"video_token_id", tokens.ids.at("<|video_pad|>")},
          {"vision_start_token_id", tokens.ids.at("<|vision_start|>")},
          {"vision_end_token_id", tokens.ids.at("<|vision_end|>")},
          {"tie_word_embeddings", false},
          {"text_config", Qwen2VlTextConfig(tokens)},
          {"vision_config",
           {{"model_type", "qwen2_vl_vision"},
            {"depth", 2},
            {"embed_dim", 64},
            {"hidden_size", kTextHidden},
            {"num_heads", 4},
            {"mlp_ratio", 2},
            {"in_channels", 3},
            {"patch_size", kSquare / kMerged},
            {"spatial_merge_size", kMerged},
            {"temporal_patch_size", 2},
            {"hidden_act", "quick_gelu"},
            {"initializer_range", kVisionInitial}}},
          {"torch_dtype", "float32"}};
}

Json Qwen2VlImageProcessor(int picture_size) {
  const int least = kSquare * kSquare, most = picture_size * picture_size;
  return WithPixelValues({{"image_processor_type", "Qwen2VLImageProcessor"},
                          {"processor_class", "Qwen2VLProcessor"},
                          {"do_convert_rgb", true},
                          {"do_resize", true},
                          {"size", {{"shortest_edge", least}, {"longest_edge", most}}},
                          {"min_pixels", least},
                          {"max_pixels", most},
                          {"resample", 3},
                          {"patch_size", kSquare / kMerged},
                          {"temporal_patch_size", 2},
                          {"merge_size", kMerged}});
}

Json Qwen2VlProcessor(int) { return {{"processor_class", "Qwen2VLProcessor"}}; }

Json Idefics3Config(const BaseTokens& tokens, int picture_size) {
  return {{"architectures", {"Idefics3ForConditionalGeneration"}},
          {"model_type", "idefics3"},
          {"image_token_id", tokens.image},
          {"pad_token_id", tokens.pad},
          {"scale_factor", kMerged},
          {"tie_word_embeddings", false},
          {"text_config", LlamaConfig(tokens)},
          {"vision_config",
           {{"model_type", "idefics3_vision"},
            {"hidden_size", 64},
            {"intermediate_size", 128},
            {"num_hidden_layers", 2},
            {"num_attention_heads", 4},
            {"num_channels", 3},
            {"image_size", picture_size},
            {"patch_size", kSquare / kMerged},
            {"hidden_act", "gelu_pytorch_tanh"},
            {"layer_norm_eps", 1e-6},
            {"initializer_range", kVisionInitial}}},
          {"torch_dtype", "float32"}};
}

// Pictures come to the side of one frame, so that none is split.
Json Idefics3ImageProcessor(int picture_size) {
  return WithPixelValues({{"image_processor_type", "Idefics3ImageProcessor"},
                          {"processor_class", "Idefics3Processor"},
                          {"do_convert_rgb", true},
                          {"do_resize", true},
                          {"size", {{"longest_edge", picture_size}}},
                          {"resample", 1},
                          {"do_image_splitting", true},
                          {"max_image_size", {{"longest_edge", picture_size}}},
                          {"do_pad", true}});
}

Json Idefics3Processor(int picture_size) {
  return {{"processor_class", "Idefics3Processor"}, {"image_seq_len", Squares(picture_size)}};
}

BaseFamily Llava() {
  return {.model_type = "llava",
          .processor_class = "LlavaProcessor",
          .specials = {"<s>", "</s>", "<pad>", "<image>"},
          .begin = "<s>",
          .end = "</s>",
          .pad = "<pad>",
          .image = "<image>",
          .tokenizer_begins = true,
          .chat_template = kLlavaTemplate,
          .config = LlavaConfig,
          .image_processor = LlavaImageProcessor,
          .processor = LlavaProcessor};
}

BaseFamily LlavaNext() {
  BaseFamily family = Llava();
  family.model_type = "llava_next";
  family.processor_class = "LlavaNextProcessor";
  family.config = LlavaNextConfig;
  family.image_processor = LlavaNextImageProcessor;
  family.processor = LlavaNextProcessor;
  return family;
}

BaseFamily Qwen2Vl() {
  return {.model_type = "qwen2_vl",
          .processor_class = "Qwen2VLProcessor",
          .specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                       "<|image_pad|>", "<|video_pad|>"},
          .begin = "<|endoftext|>",
          .end = "<|im_end|>",
          .pad = "<|endoftext|>",
          .image = "<|image_pad|>",
          .template_words = {"user", "assistant"},
          .chat_template = kQwen2VlTemplate,
          .config = Qwen2VlConfig,
          .image_processor = Qwen2VlImageProcessor,
          .processor = Qwen2VlProcessor};
}

BaseFamily Idefics3() {
  return {.model_type = "idefics3",
          .processor_class = "Idefics3Processor",
          .specials = {"<|im_start|>", "<end_of_utterance>", "<pad>", "<image>", "<fake_token_around_image>",
                       "<global-img>"},
          .begin = "<|im_start|>",
          .end = "<end_of_utterance>",
          .pad = "<pad>",
          .image = "<image>",
          .template_words = {"User", "Assistant"},
          .chat_template = kIdefics3Template,
          .config = Idefics3Config,
          .image_processor = Idefics3ImageProcessor,
          .processor = Idefics3Processor};
}

}  // namespace

absl::Span<const BaseFamily> BaseFamilies() {
  static const auto* const families =
      new std::vector<BaseFamily>{Llava(), LlavaNext(), Qwen2Vl(), Idefics3()};
  return *families;
}

}  // namespace rein::data
