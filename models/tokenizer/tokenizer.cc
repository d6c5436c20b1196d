#include "models/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/tokenizer_file.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {

absl::StatusOr<Tokenizer> Tokenizer::Parse(const std::string& text, const std::string& where) {
  REIN_ASSIGN_OR_RETURN(TokenizerFile file, ParseTokenizerFile(text, where));
  const Fields root(file.json, where);
  if (!root.Has("model")) return root.Error("model", "is missing");
  REIN_ASSIGN_OR_RETURN(const Fields model, root.Object("model"));
  REIN_ASSIGN_OR_RETURN(Bpe bpe, Bpe::Parse(model, std::move(file.vocabulary)));
  REIN_ASSIGN_OR_RETURN(Normalizer normalizer, Normalizer::Parse(root));
  REIN_ASSIGN_OR_RETURN(AddedTokens added, AddedTokens::Parse(root, normalizer));
  Tokenizer tokenizer(std::move(normalizer), std::move(added), std::move(bpe));
  REIN_RETURN_IF_ERROR(tokenizer.CheckAddedTokens(where));
  REIN_RETURN_IF_ERROR(tokenizer.ParseStages(root));
  return tokenizer;
}

// An added token may repeat one of the vocabulary, but not contradict it.
absl::Status Tokenizer::CheckAddedTokens(const std::string& where) const {
  for (const AddedToken& token : added_.tokens()) {
    const auto id = static_cast<size_t>(token.id);
    const int32_t listed = bpe_.IdOf(token.content);
    const bool taken = listed < 0 && id < bpe_.tokens().size() && !bpe_.tokens()[id].empty();
    if (listed < 0 ? taken : listed != token.id) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": added_tokens has \"", token.content.substr(0, 64), "\" with id ", id,
                       ", the vocabulary has ",
                       taken ? absl::StrCat("\"", bpe_.tokens()[id].substr(0, 64), "\" there")
                             : absl::StrCat("it at ", listed)));
    }
  }
  return absl::OkStatus();
}

absl::Status Tokenizer::ParseStages(const Fields& root) {
  size_ = static_cast<int32_t>(bpe_.tokens().size());
  for (const AddedToken& token : added_.tokens()) size_ = std::max(size_, token.id + 1);
  REIN_ASSIGN_OR_RETURN(pre_tokenizer_, PreTokenizer::Parse(root));
  REIN_ASSIGN_OR_RETURN(post_processor_, ParsePostProcessor(root, size_));
  REIN_ASSIGN_OR_RETURN(decoder_, Decoder::Parse(root));
  if (pre_tokenizer_.knows_first() && normalizer_.may_remove_start()) {
    return root.Unsupported("pre_tokenizer", "Metaspace with prepend_scheme first",
                            "always and never behind a normalizer that can remove the start of a text");
  }
  return absl::OkStatus();
}

void Tokenizer::EncodeText(absl::string_view text, bool first, Bpe::Workspace& workspace,
                           std::vector<int32_t>& ids) const {
  pre_tokenizer_.Cut(text, first, [&](absl::string_view piece) {
    bpe_.Encode(piece, pre_tokenizer_.ends_in_bytes(), workspace, ids);
  });
}

void Tokenizer::EncodeRaw(absl::string_view text, bool first, Bpe::Workspace& workspace,
                          std::vector<int32_t>& ids) const {
  std::string normal;
  if (!normalizer_.empty()) text = normal = normalizer_.Apply(std::string(text));
  added_.Split(
      text, /*normalized=*/true,
      [&](absl::string_view piece, size_t at) { EncodeText(piece, first && at == 0, workspace, ids); },
      [&](const AddedToken& token) { ids.push_back(token.id); });
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = post_processor_.before;
  const std::string clean = SanitizeUtf8(text);
  workspaces_->With([&](Bpe::Workspace& workspace) {
    added_.Split(
        clean, /*normalized=*/false,
        [&](absl::string_view piece, size_t at) { EncodeRaw(piece, at == 0, workspace, ids); },
        [&](const AddedToken& token) { ids.push_back(token.id); });
  });
  if (add_special_tokens) ids.insert(ids.end(), post_processor_.after.begin(), post_processor_.after.end());
  return ids;
}

void Tokenizer::DecodeToken(int32_t id, bool skip_special_tokens, DecodeStage& decoder) const {
  const auto& tokens = bpe_.tokens();
  if (const AddedToken* added = added_.Find(id); added != nullptr) {
    if (skip_special_tokens && added_.IsSkipped(*added)) return;
    decoder.Text(added->normal);
  } else if (id >= 0 && static_cast<size_t>(id) < tokens.size() && !tokens[static_cast<size_t>(id)].empty()) {
    decoder.Text(tokens[static_cast<size_t>(id)]);
  } else {
    return;
  }
  decoder.EndToken();
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  DecodeChain chain = decoder_.Start(&text);
  for (const int32_t id : ids) DecodeToken(id, skip_special_tokens, chain.front());
  chain.front().Finish();
  return text;
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
