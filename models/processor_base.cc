#include "models/processor_base.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "models/chat_template/template_file.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxJsonBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxTokenizerBytes = uint64_t{64} << 20;

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
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

// Those under "pad_token_id" that the tokenizer has.
absl::Status AddPadTokens(const Fields& fields, const Tokenizer& tokenizer, std::vector<int32_t>& pads) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, fields.IntOrInts("pad_token_id", {}));
  for (int64_t id : ids) {
    if (id >= 0 && id < tokenizer.size()) pads.push_back(static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

// The id of a token that tokenizer_config.json names, as text or as {"content": text}; -1 when it names none.
int32_t NamedToken(const Fields& fields, const std::string& key, const Tokenizer& tokenizer) {
  const Json* value = fields.Find(key);
  if (value == nullptr) return -1;
  if (value->is_object() && value->contains("content")) value = &(*value)["content"];
  return value->is_string() ? tokenizer.IdOf(value->get<std::string>()) : -1;
}

absl::StatusOr<TextSide> ReadTokenizer(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "tokenizer.json";
  if (!Exists(file)) {
    return absl::NotFoundError(absl::StrCat(folder.string(),
                                            " has no tokenizer.json; save the tokenizer in its fast form "
                                            "(AutoTokenizer.from_pretrained(...).save_pretrained(...))"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string json, ReadFile(file, kMaxTokenizerBytes));
  REIN_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Parse(json, file.string()));
  return TextSide{.tokenizer = std::move(tokenizer), .digest = Sha256Hex(json)};
}

absl::Status FindImageToken(const Fields& config, const std::string& key, int64_t id, TextSide& text) {
  text.image_token = static_cast<int32_t>(id);
  text.image_text = text.tokenizer.TokenOf(text.image_token);
  const std::vector<int32_t> encoded = text.tokenizer.Encode(text.image_text, false);
  if (!text.image_text.empty() && encoded == std::vector<int32_t>{text.image_token}) return absl::OkStatus();
  return config.Error(key, absl::StrCat("is ", id, ", which is no added token of tokenizer.json"));
}

absl::Status FindEndAndPad(const std::filesystem::path& folder, const Fields& config, TextSide& side) {
  REIN_ASSIGN_OR_RETURN(const Json generation_json, ReadIfThere(folder / "generation_config.json"));
  REIN_ASSIGN_OR_RETURN(const Json tokenizer_json, ReadIfThere(folder / "tokenizer_config.json"));
  const Fields generation(generation_json, (folder / "generation_config.json").string());
  const Fields names(tokenizer_json, (folder / "tokenizer_config.json").string());
  REIN_ASSIGN_OR_RETURN(const Fields text, config.Object("text_config"));
  std::vector<int32_t>& ends = side.end_tokens;
  for (const Fields* fields : {&generation, &config, &text}) {
    if (ends.empty()) {
      REIN_ASSIGN_OR_RETURN(ends, TokenIds(*fields, "eos_token_id", side.tokenizer));
    }
    REIN_RETURN_IF_ERROR(AddPadTokens(*fields, side.tokenizer, side.pad_tokens));
  }
  const int32_t end = NamedToken(names, "eos_token", side.tokenizer);
  if (ends.empty() && end >= 0) ends = {end};
  const int32_t pad = NamedToken(names, "pad_token", side.tokenizer);
  if (pad >= 0) side.pad_tokens.push_back(pad);
  if (!ends.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(folder.string(),
                                                 ": no token ends a response; set eos_token_id in "
                                                 "generation_config.json"));
}

absl::Status FindBeginning(const std::filesystem::path& folder, TextSide& side) {
  REIN_ASSIGN_OR_RETURN(const auto tokens, ReadSpecialTokens(folder));
  for (const auto& [name, text] : tokens) {
    if (name == "bos_token") side.begin_text = text;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckVocabulary(const Processor& processor, const VisionLanguageModel& model) {
  const int64_t tokens = processor.tokenizer_size(), rows = model.shape().vocab_size;
  if (tokens <= rows) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      model.source().string(), ": tokenizer.json has ids up to ", tokens - 1, ", the embedding only ", rows,
      " rows (vocab_size in config.json); use the tokenizer of "
      "this model, or resize the embedding with transformers' resize_token_embeddings"));
}

absl::StatusOr<Json> ReadConfig(const std::filesystem::path& folder) {
  return ReadJsonObject(folder / "config.json", kMaxJsonBytes);
}

absl::StatusOr<ImageSettings> ReadImageSettings(const std::filesystem::path& folder) {
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
  const bool has_nested = root.Has("image_processor");
  return ImageSettings{.json = has_nested ? nested.json() : json,
                       .where = has_nested ? nested.where() : root.where()};
}

absl::StatusOr<Json> ReadProcessorConfig(const std::filesystem::path& folder) {
  return ReadIfThere(folder / "processor_config.json");
}

absl::StatusOr<TextSide> ReadTextSide(const std::filesystem::path& folder, const Fields& config,
                                      const std::string& image_key, int64_t image_token) {
  REIN_ASSIGN_OR_RETURN(TextSide text, ReadTokenizer(folder));
  REIN_RETURN_IF_ERROR(FindImageToken(config, image_key, image_token, text));
  REIN_RETURN_IF_ERROR(FindEndAndPad(folder, config, text));
  REIN_RETURN_IF_ERROR(FindBeginning(folder, text));
  return text;
}

absl::StatusOr<std::vector<int32_t>> ProcessorBase::EncodePrompt(
    absl::string_view question, absl::Span<const ProcessedImage> images) const {
  if (absl::StrContains(question, text_.image_text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the question contains \"", text_.image_text,
                     "\", which stands for a picture; pictures are given apart"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string prompt, RenderPrompt(question, images.size()));
  return EncodeRaw(prompt, images);
}

absl::StatusOr<std::vector<int32_t>> ProcessorBase::EncodeRaw(absl::string_view text,
                                                              absl::Span<const ProcessedImage> images) const {
  // As transformers' apply_chat_template: templates of some families write the first token themselves.
  const bool has_beginning = !text_.begin_text.empty() && absl::StartsWith(text, text_.begin_text);
  const std::vector<int32_t> ids = text_.tokenizer.Encode(text, /*add_special_tokens=*/!has_beginning);
  const auto placeholders = static_cast<size_t>(std::count(ids.begin(), ids.end(), text_.image_token));
  if (placeholders != images.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the text has ", placeholders, " times \"",
                                                   text_.image_text, "\" for ", images.size(),
                                                   " pictures; they must be equal"));
  }
  std::vector<int32_t> expanded;
  size_t image = 0;
  for (int32_t id : ids) {
    const std::vector<int32_t> tokens =
        id == text_.image_token ? Expand(images[image++]) : std::vector<int32_t>{id};
    expanded.insert(expanded.end(), tokens.begin(), tokens.end());
  }
  return expanded;
}

std::vector<int32_t> ProcessorBase::Expand(const ProcessedImage& image) const {
  return std::vector<int32_t>(static_cast<size_t>(image.feature_count), text_.image_token);
}

std::vector<int32_t> ProcessorBase::EncodeResponse(absl::string_view answer) const {
  std::vector<int32_t> ids =
      text_.tokenizer.Encode(absl::StrCat(AnswerPrefix(), answer), /*add_special_tokens=*/false);
  // An answer is text: what looks like a placeholder in it must not ask for a picture.
  std::erase(ids, text_.image_token);
  ids.push_back(text_.end_tokens.front());
  return ids;
}

std::string ProcessorBase::Decode(absl::Span<const int32_t> tokens) const {
  const std::string text = text_.tokenizer.Decode(tokens, /*skip_special_tokens=*/true);
  return std::string(absl::StripPrefix(text, AnswerPrefix()));
}

at::Tensor ProcessorBase::AllowedTokens(int64_t vocab_size) const {
  at::Tensor allowed = at::zeros({vocab_size}, at::kBool);
  bool* flags = allowed.data_ptr<bool>();
  for (int32_t id = 0; id < text_.tokenizer.size() && id < vocab_size; ++id)
    flags[id] = !text_.tokenizer.TokenOf(id).empty();
  const auto set = [&](int32_t id, bool value) {
    if (id < vocab_size) flags[id] = value;
  };
  set(text_.image_token, false);
  for (int32_t id : MaskedTokens()) set(id, false);
  for (int32_t id : text_.pad_tokens) set(id, false);
  for (int32_t id : text_.end_tokens) set(id, true);  // also where padding and end are the same token
  return allowed;
}

}  // namespace rein::models
