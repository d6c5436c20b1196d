#include "models/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

// The pattern that a ByteLevel pre-tokenizer brings along.
constexpr char kByteLevelPattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Calls `visit` with the object itself, or with each member of a Sequence.
template <typename Visit>
absl::Status ForEachComponent(const Fields& component, const std::string& list_key, Visit visit) {
  REIN_ASSIGN_OR_RETURN(const std::string type, component.String("type", ""));
  if (type != "Sequence") return visit(component, type);
  const Json* list = component.Find(list_key);
  if (list == nullptr || !list->is_array()) return component.Error(list_key, "is missing or no list");
  for (const Json& item : *list) {
    if (!item.is_object()) return component.Error(list_key, "holds something that is no object");
    const Fields member(item, component.where());
    REIN_ASSIGN_OR_RETURN(const std::string member_type, member.String("type", ""));
    REIN_RETURN_IF_ERROR(visit(member, member_type));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tokenizer> Tokenizer::Parse(const std::string& text, const std::string& where) {
  REIN_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(text, where));
  const Fields root(json, where);
  if (!root.Has("model")) return root.Error("model", "is missing");
  REIN_ASSIGN_OR_RETURN(const Fields model, root.Object("model"));
  REIN_ASSIGN_OR_RETURN(Bpe bpe, Bpe::Parse(model));
  REIN_ASSIGN_OR_RETURN(AddedTokens added, AddedTokens::Parse(root));
  Tokenizer tokenizer(std::move(added), std::move(bpe));
  tokenizer.size_ = static_cast<int32_t>(tokenizer.bpe_.tokens().size());
  for (const AddedToken& token : tokenizer.added_.tokens())
    tokenizer.size_ = std::max(tokenizer.size_, token.id + 1);
  REIN_ASSIGN_OR_RETURN(const Fields normalizer, root.Object("normalizer"));
  if (root.Has("normalizer")) REIN_RETURN_IF_ERROR(tokenizer.ParseNormalizer(normalizer));
  REIN_ASSIGN_OR_RETURN(const Fields pre_tokenizer, root.Object("pre_tokenizer"));
  REIN_RETURN_IF_ERROR(tokenizer.ParsePreTokenizer(pre_tokenizer));
  REIN_ASSIGN_OR_RETURN(const Fields processor, root.Object("post_processor"));
  if (root.Has("post_processor")) REIN_RETURN_IF_ERROR(tokenizer.ParsePostProcessor(processor));
  REIN_ASSIGN_OR_RETURN(const Fields decoder, root.Object("decoder"));
  REIN_RETURN_IF_ERROR(tokenizer.ParseDecoder(decoder));
  return tokenizer;
}

absl::Status Tokenizer::ParseNormalizer(const Fields& normalizer) {
  return ForEachComponent(normalizer, "normalizers",
                          [&](const Fields& member, const std::string& type) -> absl::Status {
                            if (type != "NFC") return member.Unsupported("type", type, "NFC, none");
                            nfc_ = true;
                            return absl::OkStatus();
                          });
}

absl::Status Tokenizer::ParsePreTokenizer(const Fields& pre_tokenizer) {
  const auto add = [&](const Fields& member, const std::string& type) -> absl::Status {
    Cut cut;
    if (type == "ByteLevel") {
      REIN_ASSIGN_OR_RETURN(cut.add_prefix_space, member.Bool("add_prefix_space", true));
      REIN_ASSIGN_OR_RETURN(const bool use_regex, member.Bool("use_regex", true));
      if (use_regex) {
        REIN_ASSIGN_OR_RETURN(Regex regex, Regex::Compile(kByteLevelPattern));
        cut.regex.push_back(std::move(regex));
      }
      byte_level_ = true;
    } else if (type == "Split") {
      cut.kind = Cut::Kind::kRegex;
      REIN_ASSIGN_OR_RETURN(const std::string behavior, member.String("behavior", ""));
      if (behavior != "Isolated") return member.Unsupported("behavior", behavior, "Isolated");
      REIN_ASSIGN_OR_RETURN(const bool invert, member.Bool("invert", false));
      if (invert) return member.Unsupported("invert", "true", "false");
      REIN_ASSIGN_OR_RETURN(const Fields pattern, member.Object("pattern"));
      if (!pattern.Has("Regex")) return member.Error("pattern", "needs a Regex");
      REIN_ASSIGN_OR_RETURN(const std::string expression, pattern.String("Regex", ""));
      auto regex = Regex::Compile(expression);
      if (!regex.ok()) return WithContext(regex.status(), member.where());
      cut.regex.push_back(*std::move(regex));
    } else {
      return member.Unsupported("type", type, "ByteLevel, Split (Regex), Sequence of these");
    }
    cuts_.push_back(std::move(cut));
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(ForEachComponent(pre_tokenizer, "pretokenizers", add));
  const bool last_is_byte_level = !cuts_.empty() && cuts_.back().kind == Cut::Kind::kByteLevel;
  const auto byte_levels = std::count_if(cuts_.begin(), cuts_.end(),
                                         [](const Cut& cut) { return cut.kind == Cut::Kind::kByteLevel; });
  if (last_is_byte_level && byte_levels == 1) return absl::OkStatus();
  return pre_tokenizer.Unsupported("type", "without one ByteLevel at its end",
                                   "ByteLevel, Sequence [Split, ByteLevel]");
}

absl::Status Tokenizer::ParsePostProcessor(const Fields& processor) {
  return ForEachComponent(
      processor, "processors", [&](const Fields& member, const std::string& type) -> absl::Status {
        if (type == "ByteLevel") return absl::OkStatus();  // changes offsets only
        if (type == "TemplateProcessing") return ParseTemplate(member);
        return member.Unsupported("type", type, "ByteLevel, TemplateProcessing, Sequence of these, none");
      });
}

absl::Status Tokenizer::ParseTemplate(const Fields& processor) {
  const Json* single = processor.Find("single");
  if (single == nullptr || !single->is_array()) return processor.Error("single", "is missing or no list");
  REIN_ASSIGN_OR_RETURN(const Fields specials, processor.Object("special_tokens"));
  bool after = false;
  for (const Json& item : *single) {
    if (item.is_object() && item.contains("Sequence")) {
      after = true;
      continue;
    }
    if (!item.is_object() || !item.contains("SpecialToken"))
      return processor.Error("single", "holds an unknown item");
    REIN_ASSIGN_OR_RETURN(const Fields token, Fields(item, processor.where()).Object("SpecialToken"));
    REIN_ASSIGN_OR_RETURN(const std::string name, token.String("id", ""));
    REIN_ASSIGN_OR_RETURN(const Fields special, specials.Object(name));
    REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, special.IntOrInts("ids", {}));
    if (ids.empty()) return processor.Error("special_tokens", absl::StrCat("lacks ids for \"", name, "\""));
    for (int64_t id : ids) {
      if (id < 0 || id >= size_)
        return special.Error("ids", absl::StrCat("has ", id, ", there are ", size_, " tokens"));
      (after ? suffix_ : prefix_).push_back(static_cast<int32_t>(id));
    }
  }
  return absl::OkStatus();
}

absl::Status Tokenizer::ParseDecoder(const Fields& decoder) const {
  return ForEachComponent(
      decoder, "decoders", [](const Fields& member, const std::string& type) -> absl::Status {
        return type == "ByteLevel" ? absl::OkStatus() : member.Unsupported("type", type, "ByteLevel");
      });
}

void Tokenizer::EncodeText(const std::string& text, std::vector<int32_t>& ids) const {
  std::vector<std::string> pieces = {text};
  for (const Cut& cut : cuts_) {
    std::vector<std::string> finer;
    for (std::string& piece : pieces) {
      if (cut.add_prefix_space && !absl::StartsWith(piece, " ")) piece = absl::StrCat(" ", piece);
      std::vector<absl::string_view> parts;
      if (cut.regex.empty()) {
        parts.push_back(piece);
      } else {
        cut.regex.front().Split(piece, parts);
      }
      for (absl::string_view part : parts) finer.emplace_back(part);
    }
    pieces = std::move(finer);
  }
  for (const std::string& piece : pieces) bpe_.Encode(ToByteLevel(piece), ids);
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = prefix_;
  const std::string clean = SanitizeUtf8(text);
  for (const AddedTokens::Piece& raw : added_.Split(clean, /*normalized=*/false)) {
    if (raw.token != nullptr) {
      ids.push_back(raw.token->id);
      continue;
    }
    const std::string normal = nfc_ ? NormalizeNfc(std::string(raw.text)) : std::string(raw.text);
    for (const AddedTokens::Piece& piece : added_.Split(normal, /*normalized=*/true)) {
      if (piece.token != nullptr) {
        ids.push_back(piece.token->id);
      } else {
        EncodeText(std::string(piece.text), ids);
      }
    }
  }
  if (add_special_tokens) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
  return ids;
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (int32_t id : ids) {
    if (skip_special_tokens && IsSpecial(id)) continue;
    bytes += FromByteLevel(TokenOf(id));
  }
  return SanitizeUtf8(bytes);
}

int32_t Tokenizer::IdOf(const std::string& token) const {
  const AddedToken* added = added_.Find(token);
  return added != nullptr ? added->id : bpe_.IdOf(token);
}

std::string Tokenizer::TokenOf(int32_t id) const {
  if (const AddedToken* added = added_.Find(id)) return added->content;
  const auto& tokens = bpe_.tokens();
  return id >= 0 && static_cast<size_t>(id) < tokens.size() ? tokens[static_cast<size_t>(id)] : "";
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const AddedToken* added = added_.Find(id);
  return added != nullptr && added->special;
}

}  // namespace rein::models
