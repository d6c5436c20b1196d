#include "models/llama/config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "models/config_fields.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxSize = 1 << 20;

bool Contains(absl::Span<const char* const> names, const std::string& name) {
  for (const char* known : names) {
    if (name == known) return true;
  }
  return false;
}

// Every pair of a head turns with one of the rows of positions.
absl::Status CheckSections(const Fields& text, const LlamaConfig& config) {
  int64_t pairs = 0;
  for (int64_t section : config.mrope_sections) {
    if (section < 0 || section > config.head_dim) {
      return text.Error("mrope_section", absl::StrCat("has ", section, "; numbers from 0 to head_dim, ",
                                                      config.head_dim, ", are needed"));
    }
    pairs += section;
  }
  if (pairs == config.head_dim / 2) return absl::OkStatus();
  return text.Error("mrope_section", absl::StrCat("sums up to ", pairs, "; half of head_dim, ",
                                                  config.head_dim / 2, ", is needed"));
}

absl::Status ReadRope(const Fields& text, absl::Span<const char* const> rope_types, LlamaConfig& config) {
  const bool multimodal = !config.mrope_sections.empty();  // by the family's defaults
  REIN_ASSIGN_OR_RETURN(config.rope_theta, text.Number("rope_theta", config.rope_theta, 1.0, 1e12));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    REIN_ASSIGN_OR_RETURN(const Fields rope, text.Object(key));
    REIN_ASSIGN_OR_RETURN(config.rope_theta, rope.Number("rope_theta", config.rope_theta, 1.0, 1e12));
    REIN_ASSIGN_OR_RETURN(const std::string old_name, rope.String("type", rope_types[0]));
    REIN_ASSIGN_OR_RETURN(const std::string type, rope.String("rope_type", old_name));
    if (!Contains(rope_types, type)) {
      return rope.Unsupported("rope_type", type, absl::StrJoin(rope_types, ", "));
    }
    if (multimodal) {
      REIN_ASSIGN_OR_RETURN(config.mrope_sections, rope.IntOrInts("mrope_section", config.mrope_sections));
    }
  }
  return multimodal ? CheckSections(text, config) : absl::OkStatus();
}

absl::Status ReadSizes(const Fields& text, LlamaConfig& config) {
  REIN_ASSIGN_OR_RETURN(config.vocab_size, text.Int("vocab_size", config.vocab_size, 1, int64_t{1} << 24));
  REIN_ASSIGN_OR_RETURN(config.hidden, text.Int("hidden_size", config.hidden, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.intermediate, text.Int("intermediate_size", config.intermediate, 1, kMaxSize));
  REIN_ASSIGN_OR_RETURN(config.layers, text.Int("num_hidden_layers", config.layers, 1, 1024));
  REIN_ASSIGN_OR_RETURN(config.heads, text.Int("num_attention_heads", config.heads, 1, 4096));
  const int64_t kv_heads = config.kv_heads > 0 ? config.kv_heads : config.heads;
  REIN_ASSIGN_OR_RETURN(config.kv_heads, text.Int("num_key_value_heads", kv_heads, 1, 4096));
  REIN_ASSIGN_OR_RETURN(config.head_dim, text.Int("head_dim", config.hidden / config.heads, 1, 4096));
  REIN_ASSIGN_OR_RETURN(config.max_positions,
                        text.Int("max_position_embeddings", config.max_positions, 1, int64_t{1} << 24));
  if (config.heads % config.kv_heads != 0) {
    return text.Error("num_key_value_heads", absl::StrCat("is ", config.kv_heads, "; it must divide the ",
                                                          config.heads, " attention heads"));
  }
  if (!text.Has("head_dim") && config.hidden % config.heads != 0) {
    return text.Error("hidden_size", absl::StrCat("is ", config.hidden, "; it must be a multiple of the ",
                                                  config.heads, " attention heads"));
  }
  if (config.head_dim % 2 != 0)
    return text.Error("head_dim", absl::StrCat("is ", config.head_dim, "; it must be even"));
  return absl::OkStatus();
}

// Writes the rope settings in the old and the new spelling.
void RenderRope(const LlamaConfig& config, Json& text) {
  text["rope_theta"] = config.rope_theta;
  text["rope_parameters"] = {{"rope_theta", config.rope_theta}, {"rope_type", "default"}};
  text.erase("rope_scaling");
  if (config.mrope_sections.empty()) return;
  text["rope_parameters"]["mrope_section"] = config.mrope_sections;
  text["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", config.mrope_sections}};
}

// The object that holds the text settings: text_config, or the root of folders from before it.
Json& TextObject(Json& root) {
  const auto nested = root.find("text_config");
  return nested != root.end() && nested->is_object() ? *nested : root;
}

}  // namespace

absl::Status ReadLlamaConfig(const Fields& text, absl::Span<const char* const> rope_types,
                             LlamaConfig& config) {
  REIN_RETURN_IF_ERROR(ReadSizes(text, config));
  REIN_RETURN_IF_ERROR(ReadRope(text, rope_types, config));
  REIN_RETURN_IF_ERROR(RefuseDropout(text));
  REIN_ASSIGN_OR_RETURN(config.activation, ReadActivation(text, "hidden_act", "silu"));
  REIN_ASSIGN_OR_RETURN(config.rms_norm_eps, text.Number("rms_norm_eps", config.rms_norm_eps, 0, 1));
  REIN_ASSIGN_OR_RETURN(config.tied, text.Bool("tie_word_embeddings", config.tied));
  REIN_ASSIGN_OR_RETURN(config.initializer_range,
                        text.Number("initializer_range", config.initializer_range, 0, 1));
  return absl::OkStatus();
}

absl::Status ReadOwnLlamaConfig(const Fields& text, LlamaConfig& config) {
  config.kv_heads = 0;
  REIN_RETURN_IF_ERROR(ReadLlamaConfig(text, {"default"}, config));
  REIN_ASSIGN_OR_RETURN(config.attention_bias, text.Bool("attention_bias", false));
  config.output_bias = config.attention_bias;
  REIN_ASSIGN_OR_RETURN(config.mlp_bias, text.Bool("mlp_bias", false));
  return absl::OkStatus();
}

std::string RenderConfigJson(const Json& json, const LlamaConfig& text, const std::string& dtype) {
  Json rendered = json;
  RenderRope(text, TextObject(rendered));
  rendered["torch_dtype"] = dtype;
  rendered["dtype"] = dtype;
  return rendered.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rein::models
