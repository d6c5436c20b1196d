#include "data/base_model.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status.h"
#include "data/base_family.h"
#include "data/byte_bpe.h"
#include "data/scene_words.h"

namespace rein::data {
namespace {

using Json = nlohmann::ordered_json;

ByteBpe LearnWords(const BaseFamily& family) {
  const std::vector<std::string> spoken = data::Vocabulary();
  std::set<std::string> words(spoken.begin(), spoken.end());
  words.insert(family.template_words.begin(), family.template_words.end());
  return LearnByteBpe({words.begin(), words.end()});
}

BaseTokens TokensOf(const BaseFamily& family, const ByteBpe& bpe) {
  BaseTokens tokens;
  for (const std::string& special : family.specials) {
    tokens.ids.emplace(special, static_cast<int>(tokens.ids.size()));
  }
  tokens.begin = tokens.ids.at(family.begin);
  tokens.end = tokens.ids.at(family.end);
  tokens.pad = tokens.ids.at(family.pad);
  tokens.image = tokens.ids.at(family.image);
  // Rounded up, as published models pad their embeddings.
  tokens.embeddings = static_cast<int>(family.specials.size() + bpe.tokens.size() + 63) / 64 * 64;
  return tokens;
}

Json Vocabulary(const BaseFamily& family, const ByteBpe& bpe) {
  Json vocabulary = Json::object();
  int id = 0;
  for (const std::string& special : family.specials) vocabulary[special] = id++;
  for (const std::string& token : bpe.tokens) vocabulary[token] = id++;
  return vocabulary;
}

Json AddedTokens(const BaseFamily& family) {
  Json added = Json::array();
  for (const std::string& special : family.specials) {
    added.push_back({{"id", added.size()},
                     {"content", special},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return added;
}

// The begin token in front of a prompt.
Json PostProcessor(const BaseFamily& family, const BaseTokens& tokens) {
  if (!family.tokenizer_begins) return nullptr;
  const Json begin = {{"SpecialToken", {{"id", family.begin}, {"type_id", 0}}}};
  const Json first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const Json special = {{"id", family.begin}, {"ids", {tokens.begin}}, {"tokens", {family.begin}}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({begin, first})},
          {"pair", Json::array({begin, first, second})},
          {"special_tokens", {{family.begin, special}}}};
}

Json Tokenizer(const BaseFamily& family, const BaseTokens& tokens, const ByteBpe& bpe) {
  Json merges = Json::array();
  for (const auto& [left, right] : bpe.merges) merges.push_back(left + " " + right);
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", AddedTokens(family)},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", PostProcessor(family, tokens)},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", Vocabulary(family, bpe)},
            {"merges", merges}}}};
}

Json TokenizerConfig(const BaseFamily& family) {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"processor_class", family.processor_class},
          {"bos_token", family.begin},
          {"eos_token", family.end},
          {"pad_token", family.pad},
          {"image_token", family.image},
          {"padding_side", "left"},
          {"clean_up_tokenization_spaces", false},
          {"model_max_length", 2048}};
}

Json Generation(const BaseTokens& tokens) {
  return {{"bos_token_id", tokens.begin}, {"eos_token_id", tokens.end}, {"pad_token_id", tokens.pad}};
}

// nullptr: not known.
const BaseFamily* FamilyOf(absl::string_view name) {
  for (const BaseFamily& family : BaseFamilies()) {
    if (name == family.model_type) return &family;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> BaseModelFamilies() {
  std::vector<std::string> names;
  for (const BaseFamily& family : BaseFamilies()) names.emplace_back(family.model_type);
  return names;
}

absl::Status CheckBaseModelFamily(absl::string_view family) {
  if (FamilyOf(family) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("family is \"", family, "\"; allowed: ", absl::StrJoin(BaseModelFamilies(), ", ")));
}

absl::Status WriteBaseModel(absl::string_view family_name, int picture_size,
                            const std::filesystem::path& folder) {
  REIN_RETURN_IF_ERROR(CheckBaseModelFamily(family_name));
  const BaseFamily& family = *FamilyOf(family_name);
  const ByteBpe bpe = LearnWords(family);
  const BaseTokens tokens = TokensOf(family, bpe);
  const std::map<std::string, Json> files = {
      {"config.json", family.config(tokens, picture_size)},
      {"tokenizer.json", Tokenizer(family, tokens, bpe)},
      {"tokenizer_config.json", TokenizerConfig(family)},
      {"preprocessor_config.json", family.image_processor(picture_size)},
      {"processor_config.json", family.processor(picture_size)},
      {"generation_config.json", Generation(tokens)}};
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  for (const auto& [name, json] : files) {
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, json.dump(2) + "\n"));
  }
  return WriteFileAtomically(folder / "chat_template.jinja", family.chat_template);
}

}  // namespace rein::data
