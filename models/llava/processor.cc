#include "models/llava/processor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "models/folder.h"
#include "models/llava/chat_template.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxJsonBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxTokenizerBytes = uint64_t{64} << 20;

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::Status CheckOutputSize(const ClipImageProcessor& processor, const LlavaConfig& config,
                             const std::filesystem::path& file) {
  const int64_t side = config.vision.image_size;
  if (processor.output_height() == side && processor.output_width() == side) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      file.string(), ": pictures come out as ", processor.output_height(), " x ", processor.output_width(),
      " (crop_size or size; 0: not fixed), the vision tower takes ", side, " x ", side));
}

absl::StatusOr<ClipImageProcessor> LoadImageProcessor(const std::filesystem::path& folder,
                                                      const LlavaConfig& config) {
  std::filesystem::path file = folder / "preprocessor_config.json";
  if (!Exists(file)) file = folder / "processor_config.json";
  if (!Exists(file)) {
    return absl::NotFoundError(
        absl::StrCat(folder.string(),
                     " has neither preprocessor_config.json nor "
                     "processor_config.json; copy it from the model's original folder"));
  }
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(file, kMaxJsonBytes));
  const Fields root(json, file.string());
  REIN_ASSIGN_OR_RETURN(const Fields nested, root.Object("image_processor"));
  REIN_ASSIGN_OR_RETURN(ClipImageProcessor processor,
                        ClipImageProcessor::Parse(root.Has("image_processor") ? nested : root));
  REIN_RETURN_IF_ERROR(CheckOutputSize(processor, config, file));
  return processor;
}

absl::StatusOr<Json> ReadIfThere(const std::filesystem::path& file) {
  return Exists(file) ? ReadJsonObject(file, kMaxJsonBytes) : absl::StatusOr<Json>(Json::object());
}

// The ids under `key`, each checked against the tokenizer.
absl::StatusOr<std::vector<int32_t>> TokenIds(const Fields& fields, const std::string& key,
                                              const Tokenizer& tokenizer) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, fields.IntOrInts(key, {}));
  std::vector<int32_t> tokens;
  for (int64_t id : ids) {
    if (id < 0 || id >= tokenizer.size()) {
      return fields.Error(
          key, absl::StrCat("has ", id, ", the tokenizer has ids from 0 to ", tokenizer.size() - 1));
    }
    tokens.push_back(static_cast<int32_t>(id));
  }
  return tokens;
}

// The id of a token that tokenizer_config.json names, as text or as {"content": text}; -1 when it names none.
int32_t NamedToken(const Fields& fields, const std::string& key, const Tokenizer& tokenizer) {
  const Json* value = fields.Find(key);
  if (value == nullptr) return -1;
  if (value->is_object() && value->contains("content")) value = &(*value)["content"];
  return value->is_string() ? tokenizer.IdOf(value->get<std::string>()) : -1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Processor>> LlavaProcessor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(folder / "config.json", kMaxJsonBytes));
  const std::string where = (folder / "config.json").string();
  REIN_ASSIGN_OR_RETURN(const LlavaConfig config, ParseLlavaConfig(json, where));
  const std::filesystem::path tokenizer_file = folder / "tokenizer.json";
  if (!Exists(tokenizer_file)) {
    return absl::NotFoundError(absl::StrCat(folder.string(),
                                            " has no tokenizer.json; save the tokenizer in its fast form "
                                            "(AutoTokenizer.from_pretrained(...).save_pretrained(...))"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string tokenizer_text, ReadFile(tokenizer_file, kMaxTokenizerBytes));
  REIN_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Parse(tokenizer_text, tokenizer_file.string()));
  REIN_ASSIGN_OR_RETURN(ClipImageProcessor images, LoadImageProcessor(folder, config));
  REIN_RETURN_IF_ERROR(CheckChatTemplate(folder));
  std::unique_ptr<LlavaProcessor> processor(
      new LlavaProcessor(std::move(tokenizer), std::move(images), config));
  processor->digest_ = Sha256Hex(tokenizer_text);
  REIN_RETURN_IF_ERROR(processor->FindSpecialTokens(folder, Fields(json, where)));
  return processor;
}

absl::Status LlavaProcessor::FindSpecialTokens(const std::filesystem::path& folder, const Fields& config) {
  image_text_ = tokenizer_.TokenOf(image_token_);
  const std::vector<int32_t> encoded = tokenizer_.Encode(image_text_, false);
  if (image_text_.empty() || encoded != std::vector<int32_t>{image_token_}) {
    return config.Error("image_token_index",
                        absl::StrCat("is ", image_token_, ", which is no added token of tokenizer.json"));
  }
  REIN_ASSIGN_OR_RETURN(const Json generation_json, ReadIfThere(folder / "generation_config.json"));
  REIN_ASSIGN_OR_RETURN(const Json tokenizer_json, ReadIfThere(folder / "tokenizer_config.json"));
  const Fields generation(generation_json, (folder / "generation_config.json").string());
  const Fields names(tokenizer_json, (folder / "tokenizer_config.json").string());
  REIN_ASSIGN_OR_RETURN(const Fields text, config.Object("text_config"));
  for (const Fields* fields : {&generation, &config, &text}) {
    if (end_tokens_.empty()) {
      REIN_ASSIGN_OR_RETURN(end_tokens_, TokenIds(*fields, "eos_token_id", tokenizer_));
    }
    REIN_ASSIGN_OR_RETURN(const std::vector<int32_t> pads, TokenIds(*fields, "pad_token_id", tokenizer_));
    pad_tokens_.insert(pad_tokens_.end(), pads.begin(), pads.end());
  }
  if (const int32_t end = NamedToken(names, "eos_token", tokenizer_); end_tokens_.empty() && end >= 0)
    end_tokens_ = {end};
  if (const int32_t pad = NamedToken(names, "pad_token", tokenizer_); pad >= 0) pad_tokens_.push_back(pad);
  if (!end_tokens_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(folder.string(),
                                                 ": no token ends a response; set eos_token_id in "
                                                 "generation_config.json"));
}

absl::StatusOr<ProcessedImage> LlavaProcessor::ProcessImage(const data::RgbImage& image) const {
  REIN_ASSIGN_OR_RETURN(at::Tensor pixels, images_.Process(image));
  return ProcessedImage{.pixels = std::move(pixels), .feature_count = feature_count_};
}

absl::StatusOr<std::vector<int32_t>> LlavaProcessor::EncodePrompt(
    absl::string_view question, absl::Span<const ProcessedImage> images) const {
  if (absl::StrContains(question, image_text_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the question contains \"", image_text_, "\", which stands for a picture; pictures are given apart"));
  }
  return EncodeRaw(RenderPrompt(question, images.size(), image_text_), images);
}

absl::StatusOr<std::vector<int32_t>> LlavaProcessor::EncodeRaw(
    absl::string_view text, absl::Span<const ProcessedImage> images) const {
  const std::vector<int32_t> ids = tokenizer_.Encode(text, /*add_special_tokens=*/true);
  const auto placeholders = static_cast<size_t>(std::count(ids.begin(), ids.end(), image_token_));
  if (placeholders != images.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the text has ", placeholders, " times \"", image_text_,
                                                   "\" for ", images.size(),
                                                   " pictures; they must be equal"));
  }
  std::vector<int32_t> expanded;
  size_t image = 0;
  for (int32_t id : ids) {
    const int64_t copies = id == image_token_ ? images[image++].feature_count : 1;
    expanded.insert(expanded.end(), static_cast<size_t>(copies), id);
  }
  return expanded;
}

std::vector<int32_t> LlavaProcessor::EncodeResponse(absl::string_view answer) const {
  std::vector<int32_t> ids = tokenizer_.Encode(absl::StrCat(" ", answer), /*add_special_tokens=*/false);
  // An answer is text: what looks like a placeholder in it must not ask for a picture.
  std::erase(ids, image_token_);
  ids.push_back(end_tokens_.front());
  return ids;
}

std::string LlavaProcessor::Decode(absl::Span<const int32_t> tokens) const {
  const std::string text = tokenizer_.Decode(tokens, /*skip_special_tokens=*/true);
  return std::string(absl::StripPrefix(text, " "));
}

at::Tensor LlavaProcessor::AllowedTokens(int64_t vocab_size) const {
  at::Tensor allowed = at::zeros({vocab_size}, at::kBool);
  bool* flags = allowed.data_ptr<bool>();
  for (int32_t id = 0; id < tokenizer_.size() && id < vocab_size; ++id)
    flags[id] = !tokenizer_.TokenOf(id).empty();
  const auto set = [&](int32_t id, bool value) {
    if (id < vocab_size) flags[id] = value;
  };
  set(image_token_, false);
  for (int32_t id : pad_tokens_) set(id, false);
  for (int32_t id : end_tokens_) set(id, true);  // also where padding and end are the same token
  return allowed;
}

}  // namespace rein::models
